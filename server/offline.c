#include "server/offline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/text.h"
#include "server/node/node.h"

static bool refuse(char *error, size_t size, const char *sentence)
{
    (void)snprintf(error, size, "%s", sentence);
    return false;
}

/* --- the command line --- */

/* Takes the word at `i`, and its value. Returns the number taken; 0 if it is not ours. */
static int take(int argc, char *argv[], int i, struct offline *o)
{
    static const char restore[] = "--restore";
    const char *word = argv[i];
    if (strcmp(word, "--recover") == 0) {
        o->recover = true;
        return 1;
    }
    if (strcmp(word, "--yes") == 0) {
        o->confirmed = true;
        return 1;
    }
    if (strncmp(word, restore, sizeof restore - 1) != 0) {
        return 0;
    }
    if (word[sizeof restore - 1] == '=') {
        o->restore = word + sizeof restore;
        return 1;
    }
    if (word[sizeof restore - 1] != '\0') {
        return 0;
    }
    o->restore = i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0 ? argv[i + 1] : "";
    return o->restore[0] != '\0' ? 2 : 1;
}

bool offline_scan(int *argc, char *argv[], struct offline *ret_offline, char *error,
                  size_t error_size)
{
    struct offline o = {.restore = NULL};
    int kept = 1;
    for (int i = 1; i < *argc;) {
        int taken = take(*argc, argv, i, &o);
        if (taken == 0) {
            argv[kept++] = argv[i++];
        }
        i += taken;
    }
    *argc = kept;
    argv[kept] = NULL;
    *ret_offline = o;
    if (o.restore != NULL && o.restore[0] == '\0') {
        return refuse(error, error_size, "--restore: needs a value (FILE)");
    }
    if (o.restore != NULL && o.recover) {
        return refuse(error, error_size, "--restore and --recover cannot both be done");
    }
    if (o.confirmed && !o.recover) {
        return refuse(error, error_size, "--yes goes with --recover only");
    }
    return true;
}

bool offline_check(const struct offline *o, const struct config *config, char *error,
                   size_t error_size)
{
    if (o->restore != NULL && config->members_count > 1) {
        return refuse(error, error_size,
                      "--restore makes a new cluster of this member alone: leave out --cluster. "
                      "The others join it");
    }
    if (o->restore != NULL && config->join.count > 0) {
        return refuse(error, error_size,
                      "--restore makes a new cluster, and --join is for a member of one that is "
                      "there: leave out one of them");
    }
    return true;
}

/* --- restore --- */

bool offline_restore(const struct offline *o, const struct config *config, char *error,
                     size_t error_size)
{
    struct consensus_restored r;
    char taken[TEXT_TIME_SIZE];
    log_write(LOG_INFO, "main", "restoring a backup", "file=\"%s\" data=\"%s\"", o->restore,
              config->data);
    if (!node_restore(config->data, &config->members[0], o->restore, &r, error, error_size)) {
        return false;
    }
    text_format_time((int64_t)r.taken_ms, taken);
    log_write(LOG_INFO, "main", "restored: this is a new cluster of this member alone",
              "index=%" PRIu64 " state=%016" PRIx64 " instances=%" PRIu64
              " taken=%s cluster=%s cluster_before=%s",
              r.index, r.hash, r.items, taken, r.cluster, r.cluster_before);
    return true;
}

/* --- recovery --- */

static void print_lost(const struct consensus_recovered *r)
{
    for (size_t i = 0; i < r->lost_count; i++) {
        printf("%-14s %" PRIu64 " at %s (%s)\n", i == 0 ? "members lost" : "", r->lost[i].id,
               r->lost[i].address, r->lost_voters[i] ? "voter" : "standby");
    }
}

static void print_found(const struct config *config, const struct consensus_recovered *r)
{
    char count[TEXT_U64_SIZE];
    printf("%-14s %s\n", "directory", config->data);
    printf("%-14s %s\n", "cluster", r->cluster_before);
    printf("%-14s %" PRIu64 " (%s)\n", "member", r->member, r->is_voter ? "voter" : "standby");
    printf("%-14s up to index %" PRIu64 " of term %" PRIu64 "; surely committed up to %" PRIu64
           "; current term %" PRIu64 "\n",
           "log", r->last_index, r->last_term, r->commit_index, r->term);
    printf("%-14s %" PRIu64 " instances, hash %016" PRIx64 "\n", "state", r->items, r->hash);
    print_lost(r);
    puts("\n"
         "Kept is all that is in this log. Lost is what the others acknowledged and\n"
         "this member never got: nothing, if it was up to date when they went.");
    uint64_t unsure = r->last_index - r->commit_index;
    if (unsure > 0) {
        printf("The last %s%s of it may never have been acknowledged; from now on all\n"
               "of it counts.\n",
               unsure > 1 ? text_format_u64(unsure, count) : "entry", unsure > 1 ? " entries" : "");
    }
    if (!r->is_voter) {
        puts("It had no vote, so it may be further behind than others.");
    }
}

static void print_advice(void)
{
    puts("\n"
         "Nothing was changed. Before you go on:\n"
         "  - The other members are gone for good, or stopped and kept from starting\n"
         "    again: with their old directories they would be a cluster of their own.\n"
         "  - Where several directories are left, recover the one with the highest\n"
         "    term of its last entry, and among these with the highest index.\n"
         "Then give --yes, too: this directory becomes that of a new cluster of this\n"
         "member alone, with a new id. What is in it now is kept there beside it.");
}

static void print_done(const struct config *config, const struct consensus_recovered *r)
{
    printf("\n"
           "Done: this is the new cluster %s, of this member alone.\n"
           "  - Start it as usual, but without --cluster: musterd --id %" PRIu64 " --data %s ...\n"
           "  - Start each other member with an empty directory and --join. One with its old\n"
           "    directory is refused.\n"
           "  - What was here before is in %s/before-%.8s-*; remove it when all is well.\n",
           r->cluster, r->member, config->data, config->data, r->cluster);
}

bool offline_recover(const struct offline *o, const struct config *config, char *error,
                     size_t error_size)
{
    struct consensus_recovered r;
    uint64_t id = config->id_given ? config->id : 0;
    if (!node_recover(config->data, id, o->confirmed, &r, error, error_size)) {
        return false;
    }
    print_found(config, &r);
    if (o->confirmed) {
        print_done(config, &r);
    } else {
        print_advice();
    }
    return fflush(stdout) == 0;
}
