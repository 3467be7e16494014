# First program of a dyno. Takes the dyno's variables out of its environment, where they are behind a "+" so that
# nothing outside obeys them, hands them to bubblewrap by a descriptor, and becomes bubblewrap.
# With "own" it makes a network of its own first; with a socket it leaves a bridge from it to the port in there.
# With a gate it waits until that file exists: until root has given the network a way out, or the code its disk.
# Usage: enter.pl <filter file or ""> <"own" or ""> <gate or ""> <seconds> <socket or ""> <port> <memory limit or 0>
#   bwrap-arguments ... -- command ...
use strict;
use warnings;
use POSIX ();
use Socket qw(AF_UNIX AF_INET AF_INET6 SOCK_STREAM SOMAXCONN pack_sockaddr_un pack_sockaddr_in pack_sockaddr_in6);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);

my ($filter, $network, $gate, $seconds, $path, $port, $memory, @arguments) = @ARGV;
my $arm = (POSIX::uname())[4] eq "aarch64";
my ($PRCTL, $UNSHARE) = $arm ? (167, 97) : (157, 272);

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
  socket(my $any, AF_INET, Socket::SOCK_DGRAM(), 0) or die "socket: $!\n";
  my $request = pack("a16 s x22", "lo", 0x1 | 0x40);
  ioctl($any, 0x8914, $request) or die "no loopback: $!\n";
  close($any);
}
if ($gate ne "") {
  my $until = time() + $seconds;
  until (-e $gate) {
    die "nobody made the network or the disk ready within $seconds s\n" if time() > $until;
    select(undef, undef, undef, 0.005);
  }
}
if ($path ne "") {
  my $self = $$;
  my $pid = fork() // die "fork: $!\n";
  bridge($self) if $pid == 0;
}
# On its command line, which the dyno sees as that of process 1, is nothing of the host.
while (@arguments && $arguments[0] ne "--") { push @options, shift @arguments }
my $hidden = descriptor_with($secret . join("", map { "$_\0" } @options));
exec("bwrap", "--args", $hidden, @arguments) or die "bwrap: $!\n";

sub write_file {
  my ($name, $text) = @_;
  open(my $file, ">", $name) or die "$name: $!\n";
  syswrite($file, $text) or die "$name: $!\n";
}

# Listens on the socket once the port accepts, and carries bytes both ways with half-close.
sub bridge {
  my ($parent) = @_;
  # Ends with the dyno, whoever ends that.
  syscall($PRCTL, 1, 9, 0, 0, 0);
  POSIX::_exit(0) if getppid() != $parent;
  open(STDIN, "<", "/dev/null");
  open(STDOUT, ">", "/dev/null");
  open(STDERR, ">", "/dev/null");
  POSIX::close($_) for 3 .. 63;
  $SIG{PIPE} = "IGNORE";
  # Looked up and not tried: a program that takes just one connection gets a client's.
  select(undef, undef, undef, 0.02) until listening();
  umask(0177);
  socket(my $listener, AF_UNIX, SOCK_STREAM, 0) or POSIX::_exit(1);
  bind($listener, pack_sockaddr_un($path)) or POSIX::_exit(1);
  listen($listener, SOMAXCONN) or POSIX::_exit(1);
  unblock($listener);

  my (%readers, %writers);
  my $limit = 262_144;
  my $finish = sub {
    my ($flow) = @_;
    $flow->{done} = 1;
    delete $readers{ fileno($flow->{from}) };
    delete $writers{ fileno($flow->{to}) };
    if (!$flow->{twin}{done}) { shutdown($flow->{to}, 1); return }
    close($flow->{from});
    close($flow->{to});
    delete $flow->{twin}{twin};
    delete $flow->{twin};
  };
  my $break_off = sub {
    my ($flow) = @_;
    for my $one ($flow, $flow->{twin}) {
      next if !$one || $one->{done};
      $one->{data} = "";
      $finish->($one);
    }
  };
  while (1) {
    my ($in, $out) = ("", "");
    vec($in, fileno($listener), 1) = 1;
    for my $fd (keys %readers) {
      my $flow = $readers{$fd};
      vec($in, $fd, 1) = 1 if !$flow->{ended} && length($flow->{data}) < $limit;
    }
    for my $fd (keys %writers) { vec($out, $fd, 1) = 1 if length($writers{$fd}{data}) > 0 }
    next if select($in, $out, undef, undef) < 0;
    if (vec($in, fileno($listener), 1)) {
      while (accept(my $client, $listener)) {
        my $target = dial();
        # The dyno does not listen any more: the client sees the connection end.
        if (!$target) { close($client); next }
        unblock($_) for $client, $target;
        my $there = { from => $client, to => $target, data => "", ended => 0, done => 0 };
        my $back = { from => $target, to => $client, data => "", ended => 0, done => 0 };
        ($there->{twin}, $back->{twin}) = ($back, $there);
        for ($there, $back) { $readers{ fileno($_->{from}) } = $_; $writers{ fileno($_->{to}) } = $_ }
      }
    }
    for my $flow (values %readers) {
      next if $flow->{done} || $flow->{ended} || !vec($in, fileno($flow->{from}), 1);
      my $count = sysread($flow->{from}, $flow->{data}, 65_536, length($flow->{data}));
      if (!defined $count) { $break_off->($flow) unless $!{EAGAIN} || $!{EINTR} }
      elsif ($count == 0) { $flow->{ended} = 1 }
    }
    for my $flow (values %writers) {
      next if $flow->{done};
      if (length($flow->{data}) > 0) {
        my $count = syswrite($flow->{to}, $flow->{data});
        if (defined $count) { substr($flow->{data}, 0, $count, "") }
        elsif (!$!{EAGAIN} && !$!{EINTR}) { $break_off->($flow); next }
      }
      $finish->($flow) if $flow->{ended} && length($flow->{data}) == 0;
    }
  }
}

sub listening {
  my $wanted = sprintf(":%04X", $port);
  for my $table (qw(tcp tcp6)) {
    open(my $file, "<", "/proc/self/net/$table") or next;
    while (my $row = <$file>) {
      my (undef, $local, undef, $state) = split " ", $row;
      return 1 if $state eq "0A" && substr($local, -5) eq $wanted;
    }
  }
  return 0;
}

sub dial {
  for my $target (
    [AF_INET, pack_sockaddr_in($port, "\x7f\0\0\1")],
    [AF_INET6, pack_sockaddr_in6($port, "\0" x 15 . "\1")],
  ) {
    socket(my $socket, $target->[0], SOCK_STREAM, 0) or next;
    return $socket if connect($socket, $target->[1]);
  }
  return undef;
}

sub unblock {
  my ($handle) = @_;
  fcntl($handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK);
}
