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
  /** As libseccomp calls it. */
  readonly library: string;
  readonly x32: boolean;
  readonly clone: number;
  readonly ioctl: number;
  readonly socket: number;
  /** By name, for runtimes that take names. */
  readonly refused: Readonly<Record<string, number>>;
}

/** The new ones have one number everywhere. */
const everywhere = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  pidfd_getfd: 438,
  mount_setattr: 442,
  quotactl_fd: 443,
  open_tree_attr: 467,
} as const;
const CLONE3 = 435;

const architectures: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    library: "SCMP_ARCH_X86_64",
    x32: true,
    clone: 56,
    ioctl: 16,
    socket: 41,
    refused: {
      ptrace: 101,
      syslog: 103,
      uselib: 134,
      ustat: 136,
      sysfs: 139,
      vhangup: 153,
      modify_ldt: 154,
      pivot_root: 155,
      _sysctl: 156,
      adjtimex: 159,
      acct: 163,
      settimeofday: 164,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      sethostname: 170,
      setdomainname: 171,
      iopl: 172,
      ioperm: 173,
      create_module: 174,
      init_module: 175,
      delete_module: 176,
      get_kernel_syms: 177,
      query_module: 178,
      quotactl: 179,
      nfsservctl: 180,
      lookup_dcookie: 212,
      clock_settime: 227,
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      unshare: 272,
      perf_event_open: 298,
      fanotify_init: 300,
      name_to_handle_at: 303,
      open_by_handle_at: 304,
      clock_adjtime: 305,
      setns: 308,
      process_vm_readv: 310,
      process_vm_writev: 311,
      kcmp: 312,
      finit_module: 313,
      kexec_file_load: 320,
      bpf: 321,
      userfaultfd: 323,
      ...everywhere,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    library: "SCMP_ARCH_AARCH64",
    x32: false,
    clone: 220,
    ioctl: 29,
    socket: 198,
    refused: {
      lookup_dcookie: 18,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      nfsservctl: 42,
      vhangup: 58,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      clock_settime: 112,
      syslog: 116,
      ptrace: 117,
      reboot: 142,
      sethostname: 161,
      setdomainname: 162,
      settimeofday: 170,
      adjtimex: 171,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      swapon: 224,
      swapoff: 225,
      perf_event_open: 241,
      fanotify_init: 262,
      name_to_handle_at: 264,
      open_by_handle_at: 265,
      clock_adjtime: 266,
      setns: 268,
      process_vm_readv: 270,
      process_vm_writev: 271,
      kcmp: 272,
      finit_module: 273,
      bpf: 280,
      userfaultfd: 282,
      kexec_file_load: 294,
      ...everywhere,
    },
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
  for (const number of Object.values(arch.refused)) refuseNumber(number, EPERM);
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

/** The same refusals as a profile of the OCI runtime specification; undefined where there is no list. */
export function seccompProfile(architecture: string = process.arch): object | undefined {
  const arch = architectures[architecture];
  if (!arch) return undefined;
  const low = 0xffffffff;
  const families = Array.from({ length: Math.max(...FAMILIES) }, (_, family) => family).filter(
    (family) => !FAMILIES.includes(family),
  );
  const rule = (name: string, errnoRet: number, args?: object) => ({
    names: [name],
    action: "SCMP_ACT_ERRNO",
    errnoRet,
    ...(args ? { args: [args] } : {}),
  });
  return {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: [arch.library],
    syscalls: [
      ...Object.keys(arch.refused).map((name) => rule(name, EPERM)),
      rule("clone3", ENOSYS),
      rule("clone", EPERM, {
        index: 0,
        value: CLONE_NEWUSER,
        valueTwo: CLONE_NEWUSER,
        op: "SCMP_CMP_MASKED_EQ",
      }),
      // Compared with all 64 bits, so that what is above the 32 that the kernel reads is refused too.
      rule("socket", EAFNOSUPPORT, {
        index: 0,
        value: Math.max(...FAMILIES),
        op: "SCMP_CMP_GT",
      }),
      ...families.map((value) =>
        rule("socket", EAFNOSUPPORT, { index: 0, value, op: "SCMP_CMP_EQ" }),
      ),
      ...TERMINAL_INJECTION.map((valueTwo) =>
        rule("ioctl", EPERM, { index: 1, value: low, valueTwo, op: "SCMP_CMP_MASKED_EQ" }),
      ),
    ],
  };
}
