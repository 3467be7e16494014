# First process of a dyno where control groups are missing, or where it wants a terminal:
# adopts orphans, reaps them, tells the exact exit status, and kills the tree when its parent dies.
# Usage: init.pl <pty 0|1> <program> argv...   fd 3: environment in, events out; fd 4: the terminal's master.
use strict;
use POSIX ();

my ($pty, $program, @argv) = @ARGV;
my %prctl = (x86_64 => 157, aarch64 => 167, i686 => 172, armv7l => 172, riscv64 => 167, ppc64le => 171, s390x => 172);
my $machine = (POSIX::uname())[4];
my $number = $prctl{$machine};
open(my $control, "+<&=", 3) or die "no control descriptor";
binmode $control;

my $line = "";
while (sysread($control, my $byte, 1)) { last if $byte eq "\n"; $line .= $byte }
my $wanted = int($line);
my $block = "";
while (length($block) < $wanted) { my $got = sysread($control, $block, $wanted - length($block), length($block)); exit 1 unless $got }
%ENV = map { /\A([^=]*)=(.*)\z/s ? ($1, $2) : () } split /\0/, $block;

sub tell_parent { syswrite($control, join(" ", @_) . "\n") }

my $subreaper = defined $number && syscall($number, 36, 1, 0, 0, 0) == 0;
my $parent = getppid();
$SIG{HUP} = $SIG{INT} = $SIG{TERM} = "IGNORE";

sub kill_tree {
  my %stopped;
  for (1 .. 50) {
    my (%child, @fresh);
    opendir(my $proc, "/proc") or last;
    for my $pid (grep { /^\d+$/ } readdir $proc) {
      open(my $file, "<", "/proc/$pid/stat") or next;
      my $stat = <$file>;
      my ($state, $of) = $stat =~ /.*\) (\S) (\d+)/s or next;
      push @{ $child{$of} }, $pid if $state ne "Z";
    }
    my @queue = ($$);
    while (defined(my $pid = shift @queue)) {
      for my $one (@{ $child{$pid} || [] }) { push @queue, $one; push @fresh, $one unless $stopped{$one} }
    }
    last unless @fresh;
    for (@fresh) { kill "STOP", $_; $stopped{$_} = 1 }
  }
  kill "KILL", $_ for keys %stopped;
}

if (defined $number) {
  $SIG{USR2} = sub { kill_tree(); POSIX::_exit(137) };
  syscall($number, 1, POSIX::SIGUSR2(), 0, 0, 0);
  kill_tree(), POSIX::_exit(137) if getppid() != $parent;
}

my ($slave, $terminal);
if ($pty) {
  open(my $master, "+<&=", 4) or die "no terminal";
  my $unlock = pack("i", 0);
  ioctl($master, 0x40045431, $unlock) or die "unlockpt: $!";
  my $index = pack("I", 0);
  ioctl($master, 0x80045430, $index) or die "ptsname: $!";
  $slave = "/dev/pts/" . unpack("I", $index);
  # Held until the program runs: a master without a slave reads an error.
  # By way of the master where the kernel can (4.13): with a user of its own this process may not open the device.
  my $peer = ioctl($master, 0x5441, POSIX::O_RDWR() | POSIX::O_NOCTTY());
  if (defined $peer) { open($terminal, "+<&=", $peer + 0) or die "$slave: $!" }
  else { sysopen($terminal, $slave, POSIX::O_RDWR() | POSIX::O_NOCTTY()) or die "$slave: $!" }
  tell_parent("pty", $slave);
  # The size is set by the parent before anything of the dyno runs.
  $line = "";
  while (sysread($control, my $byte, 1)) { last if $byte eq "\n"; $line .= $byte }
  close $master;
}

# Closed by a successful exec; carries the error of a failed one.
pipe(my $result, my $failure) or die "pipe: $!";
my $pid = fork();
if (!defined $pid) { tell_parent("error", $! + 0); exit 1 }
if ($pid == 0) {
  $SIG{$_} = "DEFAULT" for qw(HUP INT TERM USR2);
  POSIX::setsid();
  if ($pty) {
    ioctl($terminal, 0x540E, 0);
    POSIX::dup2(fileno($terminal), $_) for 0 .. 2;
  }
  exec { $program } @argv;
  syswrite($failure, $! + 0);
  POSIX::_exit(127);
}
close $failure;
if (sysread($result, my $reason, 16)) { tell_parent("error", $reason); exit 1 }
close $terminal if $terminal;
# Not to hold the dyno's own descriptors: the end of its output must be seen.
POSIX::dup2(POSIX::open("/dev/null", POSIX::O_RDWR()), $_) for 0 .. 2;
tell_parent("pid", $pid, $subreaper ? 1 : 0);
while (1) {
  my $ended = waitpid(-1, 0);
  if ($ended == -1) { next if $!{EINTR}; last }
  next unless $ended == $pid;
  tell_parent(($? & 127) ? ("signal", $? & 127) : ("exit", $? >> 8));
}
