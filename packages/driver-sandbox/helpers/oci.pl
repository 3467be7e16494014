# First program of a dyno in a container of runc or crun; runs as root, outside, until the dyno has ended, and ends as
# the dyno does. Writes the bundle where nobody else sees it, has the container created and started, and gives it the
# dyno's variables, which are behind a "+" in its own environment, by a descriptor.
# With "own" it makes a network of its own first; with a socket it leaves a bridge from it to the port in there.
# The gate is a file for which it waits. Its first line is the number of the user that the dyno gets, its last the
# container's config, where "@NAME@" stands for what is known only here; between them are the links in the container's
# root, as "path target".
# Usage: oci.pl <runtime> <its state> <container> <directory of the dyno> <gate> <seconds> <"own" or "">
#   <socket or ""> <port> <memory limit or 0> command ...
use strict;
use warnings;
use POSIX ();
use File::Basename qw(dirname);

require(dirname(__FILE__) . "/around.pl");

my ($runtime, $root, $name, $directory, $gate, $seconds, $network, $path, $port, $memory, @command) = @ARGV;
my $arm = (POSIX::uname())[4] eq "aarch64";
my ($PRCTL, $UNSHARE, $MOUNT) = $arm ? (167, 97, 40) : (157, 272, 165);
my ($SUBREAPER, $DEATH_SIGNAL) = (36, 1);
# Enough for the threads of the runtime itself while it makes the container.
my $ROOM = 64;

# Descriptors are closed by hand.
$^F = 255;
# What is asked of the dyno is for its own processes and not for what is around them.
$SIG{$_} = "IGNORE" for qw(HUP INT QUIT TERM USR1 USR2 ALRM WINCH PIPE);
# The container's first process becomes a child of this one, which thereby sees how it ends.
syscall($PRCTL, $SUBREAPER, 1, 0, 0, 0) == 0 or die "no subreaper: $!\n";
my $terminal = -t STDIN;

my $secret = join("", map { /^\+(.+)/s ? "$1=$ENV{$_}\0" : () } sort keys %ENV);
%ENV = (PATH => "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

if ($network ne "") {
  syscall($UNSHARE, 0x40000000) == 0 or die "no network namespace: $!\n";
  loopback_up();
}
wait_for($gate, $seconds);
my ($uid, @links) = split /\n/, slurp($gate);
my $config = pop @links;

# A mount namespace of its own: the bundle is in memory, and gone with this process.
my $bundle = "$directory/bundle";
mkdir($bundle, 0700) or die "$bundle: $!\n";
syscall($UNSHARE, 0x00020000) == 0 or die "no mount namespace: $!\n";
mount("none", "/", "", 0x4000 | 0x80000, "");
mount("tmpfs", $bundle, "tmpfs", 2 | 4, "size=4m,mode=0711");
make_root("$bundle/rootfs");

my @groups = groups_of_dyno();
my %known = (
  UID => $uid,
  OWNER => string("uid=$uid"),
  NETWORK => string("/proc/$$/ns/net"),
  GROUP => string(group_path()),
  ARGS => join(",", map { string($_) } @command),
  FILES => (slurp("/proc/self/limits") =~ /^Max open files\s+\d+\s+(\d+)/m)[0] // 1024,
  # It can be raised by everybody and lowered by few.
  OOM => max(0, int(slurp("/proc/self/oom_score_adj"))),
);
$config =~ s/"\@([A-Z]+)\@"/$known{$1}/g;
# Without swap accounting there is no such file, and nothing to limit.
$config =~ s/,"swap":\d+// unless grep { -e "$_->{now}/memory.memsw.limit_in_bytes" || -e "$_->{now}/memory.swap.max" } @groups;
write_file("$bundle/config.json", $config);

# The runtime puts the container into the very groups that hold the dyno and takes none that are in use.
my ($limit) = grep { -e } map { "$_->{now}/pids.max" } @groups;
my $pids = $limit ? slurp($limit) : "max";
write_file($limit, $ROOM) if $pids ne "max" && $pids < $ROOM;
my @here = map { [$_, split(" ", slurp("$_->{now}/cgroup.procs"))] } @groups;
for my $one (@here) { my ($group, @members) = @$one; move($_, $group->{home}) for @members }

# By it the container gets its variables, and leave to begin.
pipe(my $theirs, my $ours) or die "pipe: $!\n";
run("delete", "--force", $name) if -e "$root/$name";
ioctl(STDIN, 0x5422, 0) if $terminal;
run("create", "--bundle", $bundle, "--preserve-fds", 1, "--pid-file", "$bundle/pid", $name) == 0
  or give_up("can't make a container");
close($theirs);
my $container = int(slurp("$bundle/pid"));
unlink("$bundle/config.json");
# Whoever was asked to end the dyno meanwhile found its groups empty.
for my $one (@here) {
  my ($group, @members) = @$one;
  next if $group->{limits};
  move($_, $group->{now}) for @members;
}
give_up("stopped while it was started") if slurp("$directory/status.json") =~ /"state":"stopping"/;
run("start", $name) == 0 or give_up("can't start a container");
# The last threads of the runtime are gone when its process has become the container's first one.
select(undef, undef, undef, 0.002) while slurp("/proc/$container/cmdline") =~ /\0init\0?\z/;
write_file($limit, $pids) if $limit;
if ($path ne "") {
  my $self = $$;
  my $pid = fork() // die "fork: $!\n";
  if ($pid == 0) {
    $( = $uid;
    $) = "$uid $uid";
    POSIX::setuid($uid);
    bridge($self, $path, $port);
  }
}
my $word = ($terminal ? 1 : 0) . " " . length($secret) . "\n$secret";
for (my $at = 0; $at < length($word);) { $at += syswrite($ours, $word, length($word) - $at, $at) || last }
close($ours);
# Not to hold the program's descriptors: the end of its output must be seen.
my $null = POSIX::open("/dev/null", POSIX::O_RDWR());
POSIX::dup2($null, $_) for 0 .. 2;
while ((my $ended = waitpid(-1, 0)) != $container) { POSIX::_exit(1) if $ended == -1 && !$!{EINTR} }
POSIX::_exit(($? & 127) ? 128 + ($? & 127) : $? >> 8);

sub give_up {
  my ($what) = @_;
  my $reason = slurp("$bundle/log");
  chomp($reason);
  run("delete", "--force", $name);
  print STDERR "$runtime $what: ", $reason =~ s/.*msg="?//sr, "\n";
  POSIX::_exit(1);
}

# It ends with this process: of what is half made nothing stays.
sub run {
  my @parameters = @_;
  my $self = $$;
  my $pid = fork() // die "fork: $!\n";
  if ($pid == 0) {
    syscall($PRCTL, $DEATH_SIGNAL, 9, 0, 0, 0);
    POSIX::_exit(1) if getppid() != $self;
    if ($parameters[0] eq "create") {
      POSIX::dup2(fileno($theirs), 3);
    } else {
      # Its complaints are not the dyno's.
      my $null = POSIX::open("/dev/null", POSIX::O_RDWR());
      POSIX::dup2($null, $_) for 0 .. 2;
    }
    POSIX::close($_) for ($parameters[0] eq "create" ? 4 : 3) .. 63;
    $SIG{$_} = "DEFAULT" for qw(HUP INT QUIT TERM USR1 USR2 ALRM WINCH PIPE);
    { no warnings; exec($runtime, "--root", $root, "--log", "$bundle/log", @parameters) }
    POSIX::_exit(127);
  }
  waitpid($pid, 0);
  return $?;
}

# Where the process is held that this one is part of, by controller: `now`, and `home`, the group above it.
sub groups_of_dyno {
  my %mounts;
  for (split /\n/, slurp("/proc/self/mountinfo")) {
    my ($point, $type, $options) = /^(?:\S+ ){4}(\S+).* - (cgroup2?) \S+ (\S+)/ or next;
    $mounts{$_} //= $point for $type eq "cgroup2" ? ("") : grep { !/^rw$|^ro$/ } split /,/, $options;
  }
  my (@found, %seen);
  for (split /\n/, slurp("/proc/self/cgroup")) {
    my ($controllers, $own) = /^\d+:([^:]*):(.*)$/ or next;
    my ($home, $below) = $own =~ m{^(.*?)/([^/]+/[^/]+)$} or next;
    next if $below !~ m{/\Q@{[ substr($name, 2) ]}\E\.[^.]+$};
    my ($kind) = split /,/, $controllers;
    my $point = $mounts{ $kind // "" } // next;
    next if $seen{"$point$own"}++;
    push @found, {
      now => "$point$own", home => "$point$home", below => $below, own => $own, controllers => $controllers,
      limits => $controllers =~ /memory|pids|cpu/ ? 1 : 0,
    };
  }
  return @found;
}

# For the runtime: relative to the group above, which is another one for each controller; absolute in version 2 alone.
sub group_path {
  die "the dyno has no control groups\n" unless @groups;
  return -e "/sys/fs/cgroup/cgroup.controllers" ? $groups[0]{own} : $groups[0]{below};
}

sub move {
  my ($pid, $group) = @_;
  open(my $file, ">", "$group/cgroup.procs") or return;
  # Gone meanwhile.
  syswrite($file, $pid);
}

sub make_root {
  my ($place) = @_;
  umask(0022);
  mkdir("$place$_") || die "$place$_: $!\n" for "", qw(/proc /dev /sys /etc /var /tmp /app /run /usr);
  # A file system in memory gets the mode of what it covers.
  chmod(01777, "$place/tmp");
  chown($uid, $uid, "$place/app");
  symlink("/tmp", "$place/var/tmp");
  for (@links) { my ($from, $to) = split / /, $_, 2; symlink($to, "$place$from") }
  write_file("$place/etc/passwd", "root:x:0:0:root:/root:/bin/false\ndyno:x:$uid:$uid:dyno:/app:/bin/bash\n");
  write_file("$place/etc/group", "root:x:0:\ndyno:x:$uid:\n");
  return if $memory == 0;
  # Node looks at both, buildpacks at the first, whatever kind of groups the host has.
  my $limits = "$place/sys";
  mkdir($limits .= "/$_") || die "$limits: $!\n" for qw(fs cgroup memory);
  write_file("$limits/$_", "$memory\n") for qw(memory.limit_in_bytes memory.soft_limit_in_bytes);
}

sub mount {
  my ($source, $target, $type, $flags, $data) = @_;
  syscall($MOUNT, $source, $target, $type, $flags, $data) == 0 or die "mount of $target: $!\n";
}

sub slurp {
  my ($file) = @_;
  open(my $handle, "<", $file) or return "";
  local $/;
  my $text = <$handle> // "";
  $text =~ s/\n\z//;
  return $text;
}

sub string {
  my ($text) = @_;
  $text =~ s/(["\\])/\\$1/g;
  $text =~ s/([\x00-\x1f])/sprintf("\\u%04x", ord($1))/ge;
  return "\"$text\"";
}

sub max { return $_[0] > $_[1] ? $_[0] : $_[1] }
