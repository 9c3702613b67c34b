/* Work on a directory without a running process: a registry without readers. */
#include <stdlib.h>

#include <urcu.h>

#include "server/base/mem.h"
#include "server/node/internal.h"

static struct node *make(void)
{
    struct node *node = mem_zalloc(1, sizeof *node);
    rcu_register_thread();
    replica_init(node);
    return node;
}

static void unmake(struct node *node)
{
    replica_done(node);
    free(node);
    rcu_unregister_thread();
}

bool node_restore(const char *data_dir, const struct consensus_member *self, const char *path,
                  struct consensus_restored *ret_restored, char *error, size_t error_size)
{
    struct node *node = make();
    const struct consensus_fsm app = replica_app(node);
    bool done = consensus_restore(data_dir, self, &app, path, ret_restored, error, error_size);
    unmake(node);
    return done;
}

bool node_recover(const char *data_dir, uint64_t id, bool confirmed,
                  struct consensus_recovered *ret_recovered, char *error, size_t error_size)
{
    struct node *node = make();
    const struct consensus_fsm app = replica_app(node);
    bool done = consensus_recover(data_dir, id, &app, confirmed, ret_recovered, error, error_size);
    unmake(node);
    return done;
}
