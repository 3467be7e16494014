# What stands around a dyno outside, whatever makes its walls: its network, the wait for what root does, the bridge.
use strict;
use warnings;
use POSIX ();
use Socket qw(AF_UNIX AF_INET AF_INET6 SOCK_STREAM SOMAXCONN pack_sockaddr_un pack_sockaddr_in pack_sockaddr_in6);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);

my $PRCTL = (POSIX::uname())[4] eq "aarch64" ? 167 : 157;

sub write_file {
  my ($name, $text) = @_;
  open(my $file, ">", $name) or die "$name: $!\n";
  syswrite($file, $text) or die "$name: $!\n";
}

# In a network namespace that was made just now.
sub loopback_up {
  socket(my $any, AF_INET, Socket::SOCK_DGRAM(), 0) or die "socket: $!\n";
  my $request = pack("a16 s x22", "lo", 0x1 | 0x40);
  ioctl($any, 0x8914, $request) or die "no loopback: $!\n";
  close($any);
}

# Until the file exists.
sub wait_for {
  my ($gate, $seconds) = @_;
  my $until = time() + $seconds;
  until (-e $gate) {
    die "nobody made the network or the disk ready within $seconds s\n" if time() > $until;
    select(undef, undef, undef, 0.005);
  }
}

# Listens on the socket once the port accepts, and carries bytes both ways with half-close.
sub bridge {
  my ($parent, $path, $port) = @_;
  # Ends with the dyno, whoever ends that.
  syscall($PRCTL, 1, 9, 0, 0, 0);
  POSIX::_exit(0) if getppid() != $parent;
  open(STDIN, "<", "/dev/null");
  open(STDOUT, ">", "/dev/null");
  open(STDERR, ">", "/dev/null");
  POSIX::close($_) for 3 .. 63;
  $SIG{PIPE} = "IGNORE";
  # Looked up and not tried: a program that takes just one connection gets a client's.
  select(undef, undef, undef, 0.02) until listening($port);
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
        my $target = dial($port);
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
  my ($port) = @_;
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
  my ($port) = @_;
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

1;
