import type { Lease } from "./lease.ts";

/** The part of `pg`'s Pool or Client that the lease uses. */
export interface PostgresQueryable {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rowCount: number | null }>;
}

export interface PostgresLeaseOptions {
  /** Names the platform; default `manifold`. */
  readonly name?: string;
  /** Table, made when absent; letters, digits and `_`; default `dynokit_lease`. */
  readonly table?: string;
}

/** A lease as a row of a table. Time is the database's, so the clocks of the hosts need not agree. */
export function postgresLease(
  client: PostgresQueryable,
  options: PostgresLeaseOptions = {},
): Lease {
  const { name = "manifold", table = "dynokit_lease" } = options;
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(table)) {
    throw new TypeError(
      `The table name ${JSON.stringify(table)} must be a plain lower-case identifier`,
    );
  }
  let made: Promise<unknown> | undefined;
  const make = () => {
    made ??= client
      .query(
        `CREATE TABLE IF NOT EXISTS ${table} (name text PRIMARY KEY, holder text NOT NULL, until timestamptz NOT NULL)`,
      )
      .catch((error: unknown) => {
        made = undefined;
        throw error;
      });
    return made;
  };
  const until = (parameter: number) =>
    `clock_timestamp() + ($${parameter}::double precision * interval '1 millisecond')`;
  return {
    async acquire(holder, ttlMs) {
      await make();
      const { rowCount } = await client.query(
        `INSERT INTO ${table} (name, holder, until) VALUES ($1, $2, ${until(3)})
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE ${table}.until <= clock_timestamp() OR ${table}.holder = excluded.holder`,
        [name, holder, ttlMs],
      );
      return rowCount === 1;
    },
    async renew(holder, ttlMs) {
      const { rowCount } = await client.query(
        `UPDATE ${table} SET until = ${until(3)} WHERE name = $1 AND holder = $2 AND until > clock_timestamp()`,
        [name, holder, ttlMs],
      );
      return rowCount === 1;
    },
    async release(holder) {
      await client.query(`DELETE FROM ${table} WHERE name = $1 AND holder = $2`, [name, holder]);
    },
  };
}
