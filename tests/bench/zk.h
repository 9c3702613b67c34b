/* What the two loads for ZooKeeper share: its members one after the other.
 *
 * Thread: the one that runs the benchmark. */
#ifndef MUSTER_BENCH_ZK_H
#define MUSTER_BENCH_ZK_H

#define ZK_HOST_BYTES_MAX 128

/* The member at `*at` of the list `hosts`, as HOST:PORT, and on to the next, or the first after the
 * last: so sessions are spread evenly. `*at` begins as `hosts`. */
void zk_next_member(const char *hosts, const char **at, char out[ZK_HOST_BYTES_MAX]);

#endif
