#include "api/grpc/beat.h"

#include "api/grpc/instance.h"
#include "server/base/limits.h"
#include "server/registry/check.h"

bool beat_has_details(const Muster__V1__HeartbeatRequest *beat)
{
    return beat->incarnation != 0 || beat->note.len > 0 || beat->check.len > 0 ||
           beat->health != MUSTER__V1__HEALTH__HEALTH_UNSPECIFIED;
}

static bool check_details(const Muster__V1__HeartbeatRequest *beat, struct problem *problem)
{
    enum health health = HEALTH_PASSING;
    if (beat->n_ids != 1) {
        problem_set(problem, "ids", "incarnation, health, note and check go with a single id only");
        return false;
    }
    if (beat->check.len > 0 && beat->incarnation != 0) {
        problem_set(problem, "incarnation", "does not go with check");
        return false;
    }
    if (beat->health != MUSTER__V1__HEALTH__HEALTH_UNSPECIFIED &&
        (!instance_health(beat->health, &health) || health == HEALTH_MAINTENANCE)) {
        problem_set(problem, "health", "must be passing, warning or critical");
        return false;
    }
    return registration_check_text("note", frame_slice(beat->note), NOTE_BYTES_MAX, problem);
}

bool beat_check(const Muster__V1__HeartbeatRequest *beat, struct problem *problem)
{
    if (beat->n_ids == 0 || beat->n_ids > HEARTBEAT_IDS_MAX) {
        problem_set(problem, "ids", "must be 1 to %d", HEARTBEAT_IDS_MAX);
        return false;
    }
    for (size_t i = 0; i < beat->n_ids; i++) {
        if (beat->ids[i].len == 0 || beat->ids[i].len > NAME_BYTES_MAX) {
            problem_set(problem, "ids", "must have 1 to %d bytes each", NAME_BYTES_MAX);
            return false;
        }
    }
    return !beat_has_details(beat) || check_details(beat, problem);
}

void beat_renewal(const Muster__V1__HeartbeatRequest *beat, struct node_renewal *renewal)
{
    *renewal = (struct node_renewal){.incarnation = beat->incarnation,
                                     .note_given = beat->note.len > 0,
                                     .note = frame_slice(beat->note)};
    renewal->health_given = instance_health(beat->health, &renewal->health);
}
