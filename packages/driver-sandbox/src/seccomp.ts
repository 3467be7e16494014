/**
 * The system call filter of a dyno, as the classic BPF program that the kernel takes
 * (spec/drivers.md §5.6). What it refuses needs a privilege that no dyno has, or widens the part of
 * the kernel that a dyno can reach: new user namespaces above all.
 */

// Numbers of <linux/filter.h>, <linux/seccomp.h> and <linux/audit.h>.
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_ABOVE = 0x35;
const JUMP_BITS = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const refuse = (errno: number) => 0x00050000 | errno;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;
/** UNIX, IPv4, IPv6 and netlink; the others know no network namespace (vsock) or are raw or rare. */
const FAMILIES = [1, 2, 10, 16];
const NUMBER = 0;
const ARCHITECTURE = 4;
const argument = (index: number) => 16 + 8 * index;
const CLONE_NEWUSER = 0x10000000;
/** Types into a terminal, and into the console: ways out of a shared terminal. */
const TERMINAL_INJECTION = [0x5412, 0x541c];
/** System calls of a second interface that would slip past the numbers. */
const X32 = 0x40000000;

type Instruction = [code: number, yes: number, no: number, value: number];

interface Architecture {
  readonly audit: number;
  readonly x32: boolean;
  readonly clone: number;
  readonly ioctl: number;
  readonly socket: number;
  readonly refused: readonly number[];
}

/** The new ones have one number everywhere. */
const everywhere = [
  425, // io_uring_setup
  426, // io_uring_enter
  427, // io_uring_register
  428, // open_tree
  429, // move_mount
  430, // fsopen
  431, // fsconfig
  432, // fsmount
  433, // fspick
  438, // pidfd_getfd
  442, // mount_setattr
  443, // quotactl_fd
  467, // open_tree_attr
] as const;
const CLONE3 = 435;

const architectures: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    x32: true,
    clone: 56,
    ioctl: 16,
    socket: 41,
    refused: [
      101, // ptrace
      103, // syslog
      134, // uselib
      136, // ustat
      139, // sysfs
      153, // vhangup
      154, // modify_ldt
      155, // pivot_root
      156, // _sysctl
      159, // adjtimex
      163, // acct
      164, // settimeofday
      165, // mount
      166, // umount2
      167, // swapon
      168, // swapoff
      169, // reboot
      170, // sethostname
      171, // setdomainname
      172, // iopl
      173, // ioperm
      174, // create_module
      175, // init_module
      176, // delete_module
      177, // get_kernel_syms
      178, // query_module
      179, // quotactl
      180, // nfsservctl
      212, // lookup_dcookie
      227, // clock_settime
      246, // kexec_load
      248, // add_key
      249, // request_key
      250, // keyctl
      272, // unshare
      298, // perf_event_open
      300, // fanotify_init
      303, // name_to_handle_at
      304, // open_by_handle_at
      305, // clock_adjtime
      308, // setns
      310, // process_vm_readv
      311, // process_vm_writev
      312, // kcmp
      313, // finit_module
      320, // kexec_file_load
      321, // bpf
      323, // userfaultfd
      ...everywhere,
    ],
  },
  arm64: {
    audit: 0xc00000b7,
    x32: false,
    clone: 220,
    ioctl: 29,
    socket: 198,
    refused: [
      18, // lookup_dcookie
      39, // umount2
      40, // mount
      41, // pivot_root
      42, // nfsservctl
      58, // vhangup
      60, // quotactl
      89, // acct
      97, // unshare
      104, // kexec_load
      105, // init_module
      106, // delete_module
      112, // clock_settime
      116, // syslog
      117, // ptrace
      142, // reboot
      161, // sethostname
      162, // setdomainname
      170, // settimeofday
      171, // adjtimex
      217, // add_key
      218, // request_key
      219, // keyctl
      224, // swapon
      225, // swapoff
      241, // perf_event_open
      262, // fanotify_init
      264, // name_to_handle_at
      265, // open_by_handle_at
      266, // clock_adjtime
      268, // setns
      270, // process_vm_readv
      271, // process_vm_writev
      272, // kcmp
      273, // finit_module
      280, // bpf
      282, // userfaultfd
      294, // kexec_file_load
      ...everywhere,
    ],
  },
};

/** The filter for an architecture as Node names it; undefined where there is no list for it. */
export function seccompFilter(architecture: string = process.arch): Buffer | undefined {
  const arch = architectures[architecture];
  if (!arch) return undefined;
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, arch.audit],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, NUMBER],
  ];
  const refuseNumber = (number: number, errno: number) =>
    program.push([JUMP_EQUAL, 0, 1, number], [RETURN, 0, 0, refuse(errno)]);
  if (arch.x32) program.push([JUMP_ABOVE, 0, 1, X32], [RETURN, 0, 0, refuse(ENOSYS)]);
  for (const number of arch.refused) refuseNumber(number, EPERM);
  // Its flags lie in memory, where a filter can't look; programs fall back to clone.
  refuseNumber(CLONE3, ENOSYS);
  program.push(
    [JUMP_EQUAL, 0, 4, arch.clone],
    [LOAD, 0, 0, argument(0)],
    [JUMP_BITS, 0, 1, CLONE_NEWUSER],
    [RETURN, 0, 0, refuse(EPERM)],
    [RETURN, 0, 0, ALLOW],
    [JUMP_EQUAL, 0, 3 + FAMILIES.length, arch.socket],
    [LOAD, 0, 0, argument(0)],
    ...FAMILIES.map(
      (family, index): Instruction => [JUMP_EQUAL, FAMILIES.length - index, 0, family],
    ),
    [RETURN, 0, 0, refuse(EAFNOSUPPORT)],
    [RETURN, 0, 0, ALLOW],
    [JUMP_EQUAL, 0, 1 + TERMINAL_INJECTION.length * 2, arch.ioctl],
    [LOAD, 0, 0, argument(1)],
  );
  for (const request of TERMINAL_INJECTION) refuseNumber(request, EPERM);
  program.push([RETURN, 0, 0, ALLOW]);

  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, yes, no, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(yes, index * 8 + 2);
    bytes.writeUInt8(no, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}
