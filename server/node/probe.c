#include "server/node/probe.h"

#include <string.h>

#include "server/base/clock.h"
#include "server/node/internal.h"

#define PERMISSION_MS 800

uint64_t node_probe_until_ms(const struct node *node)
{
    const char *reason;
    return node_ready(node, &reason) ? clock_boot_ms() + PERMISSION_MS : 0;
}

bool node_probe_is_ours(const struct node *node, const struct view *view,
                        const struct record *check)
{
    return view->probers.count == 0 ||
           prober_of(&view->probers, slice_of(record_id(check))) == node_facts(node)->id;
}

enum status node_probe_write(struct node *node, struct node_write *write,
                             const struct node_probed *probed)
{
    const struct slice id = slice_of(namespace_bare(probed->check_id));
    const struct command command = {
        .kind = COMMAND_HEARTBEAT,
        .space = namespace_of(probed->check_id),
        .heartbeat = {.ids = &id,
                      .count = 1,
                      .status_given = true,
                      .status = probed->status,
                      .note_given = true,
                      .note = probed->note},
    };
    return node_write(node, write, &command);
}
