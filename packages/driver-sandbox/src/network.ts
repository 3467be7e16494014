import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { DriverError } from "@dynokit/manifold";
import { type EgressPolicy, INTERFACE_PREFIX, policyKey, rules, TABLE_PREFIX } from "./egress.ts";

// One at a time on this host: a table is removed only while nobody adds an interface to it.
const LOCK = "/run/dynokit-network.lock";
/** The other end of every dyno's link, seen from it; not the address of anything. */
const GATEWAY = "169.254.1.1";
const GATEWAY6 = "fe80::1";
const ATTEMPTS = 20;
const TAKEN = 75;

// The rules come first: a dyno has a way out only when they are there. The address belongs to the dyno whose route
// the kernel has, and is free again when the kernel takes link and route away, with the last process of the dyno.
const ATTACH = `
table=$1 rules=$2 link=$3 mac=$4 peer=$5 pid=$6 address=$7 gateway=$8 address6=$9
nft list table inet "$table" >/dev/null 2>&1 || printf %s "$rules" | nft -f -
ip link add "$link" address "$mac" type veth peer name eth0 address "$peer" netns "$pid"
trap 'test $? = 0 || ip link del "$link" 2>/dev/null' EXIT
ip -batch - <<END
link set $link addrgenmode none
link set $link up
neigh add $address lladdr $peer dev $link
END
if ! message=$(ip route add "$address/32" dev "$link" 2>&1); then
  case $message in *exists*) exit ${TAKEN};; esac
  echo "$message" >&2
  exit 1
fi
nsenter --net="/proc/$pid/ns/net" ip -batch - <<END
link set eth0 addrgenmode none
link set eth0 up
addr add $address/32 dev eth0
neigh add $gateway lladdr $mac dev eth0
route add $gateway/32 dev eth0
route add default via $gateway dev eth0
END
test -n "$address6" || exit 0
ip -6 -batch - <<END
addr add ${GATEWAY6}/64 dev $link nodad
neigh add $address6 lladdr $peer dev $link
route add $address6/128 dev $link
END
nsenter --net="/proc/$pid/ns/net" ip -6 -batch - <<END
addr add $address6/128 dev eth0 nodad
neigh add ${GATEWAY6} lladdr $mac dev eth0
route add default via ${GATEWAY6} dev eth0
END
`;

const PUT_BACK = `nft list table inet "$1" >/dev/null 2>&1 || printf %s "$2" | nft -f -`;

// Tables of all drivers: whoever needs one again puts it back.
const SWEEP = `
nft list tables inet | while read -r _ _ table; do
  case $table in
    ${TABLE_PREFIX}*)
      ip -o link | grep -q "^[0-9]*: ${INTERFACE_PREFIX}\${table#${TABLE_PREFIX}}" ||
        nft delete table inet "$table" ;;
  esac
done
`;

/** Networks of dynos with a way out: a link for each, and rules for all of one policy. */
export class Network {
  readonly #policy: EgressPolicy;
  readonly #table: string;
  readonly #rules: string;

  /** Tries all of it, in a network namespace that is gone afterwards. Throws `unavailable`. */
  constructor(policy: EgressPolicy) {
    this.#policy = policy;
    this.#table = `${TABLE_PREFIX}${policyKey(policy)}`;
    this.#rules = rules(policy);
    probe(this.#rules);
  }

  /** Gives the process's own network namespace a link, an address and a way out. */
  async attach(pid: number): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const bytes = randomBytes(8).toString("hex");
      const code = await locked(
        ATTACH,
        [
          this.#table,
          this.#rules,
          `${INTERFACE_PREFIX}${policyKey(this.#policy)}${bytes.slice(0, 6)}`,
          macOf(`02${bytes.slice(6, 16)}`),
          macOf(`06${bytes.slice(6, 16)}`),
          String(pid),
          randomAddress(this.#policy.addresses),
          GATEWAY,
          this.#policy.addresses6 === undefined ? "" : randomAddress6(this.#policy.addresses6),
        ],
        [TAKEN],
      );
      if (code === 0) return;
    }
    throw new DriverError(
      "unavailable",
      `No free address was found in "${this.#policy.addresses}"; give a larger network in the option "addresses"`,
    );
  }

  /** Puts rules back that somebody took away, such as a firewall that was loaded anew. */
  async putBack(): Promise<void> {
    await locked(PUT_BACK, [this.#table, this.#rules]);
  }

  /** Takes away the rules that no dyno needs. */
  async sweep(): Promise<void> {
    await locked(SWEEP, []);
  }
}

/** Whether the process has a network namespace of its own, seen from this one. */
export function hasOwnNetwork(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync("/proc/self/ns/net");
  } catch {
    return false;
  }
}

function probe(text: string): void {
  const refused = (reason: string) =>
    new DriverError(
      "unavailable",
      `Dynos can't have networks of their own with a way out here: ${reason}. Use egress "none", or "host" with its risks`,
      { retryable: false },
    );
  if (process.getuid?.() !== 0) throw refused("that needs root");
  if (readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() !== "1")
    throw refused("the host does not forward; set it with sysctl -w net.ipv4.ip_forward=1");
  const tried = spawnSync(
    "unshare",
    ["--net", "sh", "-ec", "ip link add dktry type veth peer name dktry2; nft -f -"],
    { input: text, encoding: "utf8" },
  );
  if (tried.status !== 0) {
    const reason = (tried.error?.message ?? tried.stderr).trim().split("\n")[0];
    throw refused(`${reason}; the packages iproute2 and nftables are needed, and CAP_NET_ADMIN`);
  }
}

/** Runs it while nobody else does; resolves to one of the expected statuses. */
function locked(
  script: string,
  parameters: readonly string[],
  expected: readonly number[] = [],
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn("flock", [LOCK, "sh", "-ec", script, "sh", ...parameters], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let message = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      if (message.length < 2_000) message += chunk.toString("utf8");
    });
    child.once("error", (cause) =>
      reject(
        new DriverError("unavailable", '"flock" can\'t be run; install util-linux', { cause }),
      ),
    );
    child.once("close", (code) => {
      if (code === 0 || (code !== null && expected.includes(code))) resolve(code);
      else reject(new DriverError("failed", `The network could not be set up: ${message.trim()}`));
    });
  });
}

/** Neither the first nor the last of the network. */
function randomAddress(pool: string): string {
  const [base = "", bits = ""] = pool.split("/");
  const size = 2 ** (32 - Number(bits));
  const number = base.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const offset = 1 + (randomBytes(4).readUInt32BE() % (size - 2));
  const address = number - (number % size) + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** As groups of 16 bits, none left out. */
function randomAddress6(pool: string): string {
  const [base = "", bits = ""] = pool.split("/");
  const [head = "", tail] = base.split("::");
  const groups = (text: string) => text.split(":").filter(Boolean);
  const [left, right] = [groups(head), groups(tail ?? "")];
  const fill = Array.from({ length: 8 - left.length - right.length }, () => "0");
  const all = [...left, ...(tail === undefined ? [] : fill), ...right];
  const network = all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
  const room = 1n << BigInt(128 - Number(bits));
  const address =
    network - (network % room) + (BigInt(`0x${randomBytes(16).toString("hex")}`) % room);
  return Array.from({ length: 8 }, (_, at) =>
    ((address >> BigInt(112 - 16 * at)) & 0xffffn).toString(16),
  ).join(":");
}

const macOf = (hex: string) => hex.slice(0, 12).match(/../g)?.join(":") ?? "";
