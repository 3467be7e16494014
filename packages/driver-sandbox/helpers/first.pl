# Process 1 of a container: gets the dyno's variables by descriptor 3, starts its program, reaps what is left behind,
# and ends as the program does. Until it hears on the descriptor nothing of the dyno runs.
# Usage: first.pl <number of prctl> <filter file or ""> argv ...
use strict;

my ($prctl, $filter, @argv) = @ARGV;
my @signals = qw(HUP INT QUIT TERM USR1 USR2 ALRM WINCH);
$SIG{$_} = "IGNORE" for @signals;
# Ends with the process outside, whoever ends that.
syscall($prctl, 1, 9, 0, 0, 0);

if ($filter ne "") {
  # Runtimes refuse by name, and know no name of a call that is newer than their library.
  open(my $file, "<:raw", $filter) or exit(1);
  read($file, my $code, 65_536);
  my $program = pack("S x![P] P", length($code) / 8, $code);
  syscall($prctl, 22, 2, $program, 0, 0) == 0 or exit(1);
}

open(my $outside, "<&=", 3) or exit(1);
binmode($outside);
my $head = readline($outside) // exit(1);
my ($terminal, $length) = split " ", $head;
my $block = "";
while (length($block) < $length) { read($outside, $block, $length - length($block), length($block)) or exit(1) }
close($outside);

my $pid = fork() // exit(1);
if ($pid == 0) {
  $SIG{$_} = "DEFAULT" for @signals, "PIPE";
  if ($terminal) {
    require POSIX;
    POSIX::setsid();
    ioctl(STDIN, 0x540E, 0);
  }
  %ENV = map { /\A([^=]*)=(.*)\z/s ? ($1, $2) : () } split /\0/, $block;
  { no warnings; exec { $argv[0] } @argv }
  exit(127);
}
# Not to hold the program's descriptors.
open($_, "+<", "/dev/null") for *STDIN, *STDOUT, *STDERR;
undef $block;
while ((my $ended = waitpid(-1, 0)) != $pid) { exit(1) if $ended == -1 }
exit(($? & 127) ? 128 + ($? & 127) : $? >> 8);
