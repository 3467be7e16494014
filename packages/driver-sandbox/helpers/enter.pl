# First program of a dyno. Takes the dyno's variables out of its environment, where they are behind a "+" so that
# nothing outside obeys them, hands them to bubblewrap by a descriptor, and becomes bubblewrap.
# With "own" it makes a network of its own first; with a socket it leaves a bridge from it to the port in there.
# With a gate it waits until that file exists: until root has given the network a way out, or the code its disk.
# Usage: enter.pl <filter file or ""> <"own" or ""> <gate or ""> <seconds> <socket or ""> <port> <memory limit or 0>
#   bwrap-arguments ... -- command ...
use strict;
use warnings;
use POSIX ();
use File::Basename qw(dirname);

require(dirname(__FILE__) . "/around.pl");

my ($filter, $network, $gate, $seconds, $path, $port, $memory, @arguments) = @ARGV;
my $arm = (POSIX::uname())[4] eq "aarch64";
my $UNSHARE = $arm ? 97 : 272;

# What is asked of the dyno is for its own processes and not for what is around them; `env` inside resets it.
$SIG{$_} = "IGNORE" for qw(HUP INT QUIT TERM USR1 USR2 ALRM WINCH);
# Descriptors are for bubblewrap.
$^F = 255;
my @held;

sub descriptor_with {
  my ($bytes) = @_;
  open(my $file, "+>", undef) or die "no temporary file: $!\n";
  for (my $at = 0; $at < length($bytes);) {
    $at += syswrite($file, $bytes, length($bytes) - $at, $at) || die "no temporary file: $!\n";
  }
  sysseek($file, 0, 0);
  push @held, $file;
  return fileno($file);
}

my $secret = "--clearenv\0";
for (sort keys %ENV) { $secret .= "--setenv\0" . substr($_, 1) . "\0$ENV{$_}\0" if /^\+./ }
%ENV = (PATH => "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

my @options;
if ($memory > 0) {
  # Node looks at both, buildpacks at the first, whatever kind of groups the host has.
  push @options, "--perms", "0444", "--ro-bind-data", descriptor_with("$memory\n"), "/sys/fs/cgroup/memory/$_"
    for qw(memory.limit_in_bytes memory.soft_limit_in_bytes);
}
if ($filter ne "") {
  open(my $file, "<", $filter) or die "$filter: $!\n";
  push @held, $file;
  push @options, "--seccomp", fileno($file);
}

if ($network ne "") {
  my ($uid, $gid) = ($>, $) + 0);
  # A user namespace owns the network namespace: no privilege is needed for it.
  syscall($UNSHARE, 0x10000000 | 0x40000000) == 0 or die "no network namespace: $!\n";
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "0 $uid 1");
  write_file("/proc/self/gid_map", "0 $gid 1");
  loopback_up();
}
wait_for($gate, $seconds) if $gate ne "";
if ($path ne "") {
  my $self = $$;
  my $pid = fork() // die "fork: $!\n";
  bridge($self, $path, $port) if $pid == 0;
}
# On its command line, which the dyno sees as that of process 1, is nothing of the host.
while (@arguments && $arguments[0] ne "--") { push @options, shift @arguments }
my $hidden = descriptor_with($secret . join("", map { "$_\0" } @options));
exec("bwrap", "--args", $hidden, @arguments) or die "bwrap: $!\n";
