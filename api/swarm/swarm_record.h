/* What the door writes into the registry, as registrations (api/core/swarm_entry.h has the types).
 *
 * Thread: any. A registration borrows from its texts, and from what it is made of. */
#ifndef MUSTER_API_SWARM_SWARM_RECORD_H
#define MUSTER_API_SWARM_SWARM_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "api/swarm/swarm_listing.h"
#include "server/registry/record.h"

/* A daemon may be away for that long; its tasks may run all the time. */
#define SWARM_TTL_MS        TTL_MS_MAX
#define SWARM_REAP_AFTER_MS TTL_MS_MAX
#define SWARM_REPLICA_MS    10000u

/* In which it is written. */
struct swarm_texts {
    char id[64];
    char lines[8][64];
};

/* False: it is not as a registration must be; it is left out. Labels that are too long or too many
 * are left out, too, and counted in *left_out. */
MUST_USE bool swarm_record_service(const struct swarm_service *s, struct swarm_texts *texts,
                                   struct registration *r, size_t *left_out);
MUST_USE bool swarm_record_task(const struct swarm_task *t, struct swarm_texts *texts,
                                struct registration *r);
void swarm_record_replica(uint64_t member, const char *node, struct swarm_texts *texts,
                          struct registration *r);
void swarm_record_cache(uint64_t version, int64_t refreshed_ms, struct swarm_texts *texts,
                        struct registration *r);
void swarm_record_health(int64_t checked_s, struct swarm_texts *texts, struct registration *r);
/* `what` and `argument` are borrowed. */
void swarm_record_call(const char *what, uint64_t nonce, const char *argument,
                       struct swarm_texts *texts, struct registration *r);
/* Without metadata, which is the caller's to fill in. */
void swarm_record_metrics(uint64_t member, unsigned part, uint32_t ttl_ms,
                          struct swarm_texts *texts, struct registration *r);

#endif
