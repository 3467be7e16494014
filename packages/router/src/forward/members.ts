/** Something that may be in one {@link Members}. */
export interface Member {
  /** Place in the list, kept by it; -1 when in none. */
  memberIndex: number;
}

/**
 * A set whose members know their places.
 *
 * A `Set` that members enter and leave all the time replaces its table every few of them. An old
 * table that the collector moved to its old generation keeps what was in it then alive, so that
 * nearly each request was copied twice before it was let go.
 */
export class Members<T extends Member> implements Iterable<T> {
  readonly #list: T[] = [];

  get size(): number {
    return this.#list.length;
  }

  /** Takes in what is in no list. */
  add(member: T): void {
    member.memberIndex = this.#list.length;
    this.#list.push(member);
  }

  /** Returns whether it was in the list. */
  delete(member: T): boolean {
    const at = member.memberIndex;
    if (at < 0) return false;
    member.memberIndex = -1;
    const last = this.#list.pop() as T;
    if (last !== member) {
      this.#list[at] = last;
      last.memberIndex = at;
    }
    return true;
  }

  /** In no order. Copy first when members may enter or leave meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return this.#list[Symbol.iterator]();
  }
}
