#include "api/native/handlers.h"

#include "api/native/filter_query.h"
#include "api/native/render.h"
#include "server/registry/choose.h"

/* The number of this call among those for the same name (FNV-1a; names that share a slot share
 * turns, which is harmless). */
static uint32_t take_turn(struct api_context *context, const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    }
    return atomic_fetch_add_explicit(&context->turns[hash % TURNS_SLOTS], 1, memory_order_relaxed);
}

static bool parse_choice(struct choice *choice, struct exchange *x, const char *name,
                         struct problem *problem)
{
    const char *strategy = request_query(&x->request, "strategy");
    choice->strategy = STRATEGY_RANDOM;
    if (strategy != NULL && !strategy_parse(strategy, &choice->strategy)) {
        problem_set(problem, "strategy", "must be random, round_robin, first or weighted");
        return false;
    }
    if (!filter_parse(&choice->filter, &x->request, FILTER_DISCOVERABLE, problem)) {
        return false;
    }
    choice->near = request_query(&x->request, "near");
    choice->random = &x->scratch->random;
    choice->turn = choice->strategy == STRATEGY_ROUND_ROBIN ? take_turn(x->context, name) : 0;
    return true;
}

/* `service` NULL: among all instances. */
static enum next discover(struct exchange *x, const char *service, const char *name)
{
    static const struct ptree empty;
    struct choice choice;
    struct problem problem;
    if (!parse_choice(&choice, x, name, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct ptree *instances = &view->instances;
    if (service != NULL) {
        const struct service_view *found = view_service(view, service);
        instances = found != NULL ? &found->instances : &empty;
    }
    const struct record *record = choose_instance(&choice, instances);
    if (record != NULL) {
        render_instance(&json, record);
    } else {
        response_error(&x->response, 503, "no_healthy_instance", "",
                       "there is no instance now that matches and is healthy");
    }
    x->response.index = view->index;
    view_unlock(&view);
    return NEXT_RESPOND;
}

enum next handle_discover(struct exchange *x)
{
    return discover(x, x->request.params[0], x->request.params[0]);
}

enum next handle_discover_type(struct exchange *x)
{
    const char *type = request_query(&x->request, "type");
    if (type == NULL) {
        response_error(&x->response, 400, "invalid", "type", "type: is required");
        return NEXT_RESPOND;
    }
    return discover(x, NULL, type);
}
