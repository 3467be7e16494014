# Runs a program beside a dyno's own: in its namespaces, without capabilities, under its filter.
# Usage: join.pl <filter file or ""> <pid of a process of the dyno> <directory> argv ...
# Started outside as the user of the dyno; ends as the program does.
use strict;
use warnings;
use POSIX ();

my ($filter_file, $target, $directory, @argv) = @ARGV;
my $arm = (POSIX::uname())[4] eq "aarch64";
my ($PRCTL, $SETNS) = $arm ? (167, 268) : (157, 308);
my $NS_GET_PARENT = 0xb702;
my @signals = qw(HUP INT QUIT TERM USR1 USR2 ALRM WINCH CONT);

my $filter = "";
if ($filter_file ne "") {
  open(my $file, "<:raw", $filter_file) or die "$filter_file: $!\n";
  local $/;
  $filter = <$file>;
}
# Of a container, whose user is one of the host; a sandbox is joined by its own user.
my ($user) = $> == 0 ? contents("/proc/$target/status") =~ /^Uid:\s+(\d+)/m : ();
join_groups() if $user;
my %env = map { /^\+(.+)/s ? ($1 => $ENV{$_}) : () } keys %ENV;

sub contents {
  my ($path) = @_;
  open(my $file, "<", $path) or return "";
  local $/;
  return <$file> // "";
}

# What the dyno's groups refuse, devices for instance, is refused here too.
sub join_groups {
  my %mounts;
  for (split /\n/, contents("/proc/self/mountinfo")) {
    my ($point, $options) = /^(?:\S+ ){4}(\S+).* - cgroup \S+ (\S+)/ or next;
    $mounts{$_} //= $point for grep { !/^rw$|^ro$/ } split /,/, $options;
  }
  for (split /\n/, contents("/proc/$target/cgroup")) {
    my ($controllers, $path) = /^\d+:([^:]+):(.*)$/ or next;
    my $point = $mounts{ (split /,/, $controllers)[0] } // next;
    open(my $file, ">", "$point$path/cgroup.procs") or next;
    syswrite($file, $$);
  }
}

sub namespace {
  my ($path) = @_;
  open(my $file, "<", $path) or die "$path: $!\n";
  return $file;
}
sub number_of { return join(":", (stat($_[0]))[0, 1]) }

# User namespaces from ours (not included) down to the dyno's: each gives the right to join what it owns.
my @users = (namespace("/proc/$target/ns/user"));
my $mine = number_of(namespace("/proc/self/ns/user"));
shift @users if number_of($users[0]) eq $mine;
while (@users) {
  my $parent = ioctl($users[0], $NS_GET_PARENT, 0);
  last if !defined $parent;
  open(my $file, "<&=", $parent + 0) or die "namespace: $!\n";
  last if number_of($file) eq $mine;
  unshift @users, $file;
}
my %others;
for my $kind (qw(net ipc uts cgroup pid mnt)) {
  my $file = namespace("/proc/$target/ns/$kind");
  $others{$kind} = $file if number_of($file) ne number_of(namespace("/proc/self/ns/$kind"));
}
sub join_owned {
  for my $kind (qw(net ipc uts cgroup pid mnt)) {
    next if !$others{$kind};
    delete $others{$kind} if syscall($SETNS, fileno($others{$kind}), 0) == 0;
  }
}
for my $user (@users) {
  join_owned() if $user == $users[-1];
  syscall($SETNS, fileno($user), 0) == 0 or die "setns: $!\n";
  join_owned();
}
# Without a user namespace of its own: a container.
join_owned();
die "can't join: " . join(", ", sort keys %others) . "\n" if %others;

pipe(my $wait, my $go) or die "pipe: $!\n";
my $pid = fork() // die "fork: $!\n";
if ($pid == 0) {
  close($go);
  # In front of everything: nothing of the dyno outlives what was asked for from outside.
  syscall($PRCTL, 1, 9, 0, 0, 0);
  setpgrp(0, 0);
  # Until it is in the foreground.
  sysread($wait, my $byte, 1);
  chdir($directory) or die "$directory: $!\n";
  %ENV = %env;
  syscall($PRCTL, 24, $_, 0, 0, 0) for 0 .. 63;
  if ($user) {
    $) = "$user $user";
    POSIX::setgid($user) && POSIX::setuid($user) or die "user $user: $!\n";
    # Forgotten with the change of the user.
    syscall($PRCTL, 1, 9, 0, 0, 0);
  }
  syscall($PRCTL, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!\n";
  $SIG{$_} = "DEFAULT" for @signals, "PIPE", "TTOU", "TTIN", "TSTP";
  my $program = pack("S x![P] P", length($filter) / 8, $filter);
  if (length($filter) > 0) { syscall($PRCTL, 22, 2, $program, 0, 0) == 0 or die "seccomp: $!\n" }
  { no warnings; exec { $argv[0] } @argv }
  print STDERR "$argv[0]: $!\n";
  POSIX::_exit($!{ENOENT} ? 127 : 126);
}
close($wait);
$SIG{TTOU} = "IGNORE";
for my $name (@signals) { $SIG{$name} = sub { kill($name, $pid) } }
setpgrp($pid, $pid);
POSIX::tcsetpgrp(0, $pid) if -t STDIN;
close($go);
# Not to hold the program's descriptors: the end of its output must be seen.
my $null = POSIX::open("/dev/null", POSIX::O_RDWR()) // 0;
if ($null > 2) { POSIX::dup2($null, $_) for 1 .. 2 }
while (waitpid($pid, 0) == -1) { exit(1) unless $!{EINTR} }
my ($code, $signal) = ($? >> 8, $? & 127);
POSIX::_exit($code) if $signal == 0;
$SIG{$_} = "DEFAULT" for @signals;
kill($signal, $$);
POSIX::_exit(128 + $signal);
