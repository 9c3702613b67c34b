#include "api/handlers.h"

#include "api/pick.h"
#include "api/render.h"

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

static bool parse_pick(struct pick *pick, struct exchange *x, const char *name, struct fault *fault)
{
    const char *strategy = request_query(&x->request, "strategy");
    pick->strategy = STRATEGY_RANDOM;
    if (strategy != NULL && !strategy_parse(strategy, &pick->strategy)) {
        fault_set(fault, "strategy", "must be random, round_robin, first or weighted");
        return false;
    }
    if (!filter_parse(&pick->filter, &x->request, FILTER_DISCOVERABLE, fault)) {
        return false;
    }
    pick->near = request_query(&x->request, "near");
    pick->random = &x->scratch->random;
    pick->turn = pick->strategy == STRATEGY_ROUND_ROBIN ? take_turn(x->context, name) : 0;
    return true;
}

/* `service` NULL: among all instances. */
static enum next discover(struct exchange *x, const char *service, const char *name)
{
    static const struct ptree empty;
    struct pick pick;
    struct fault fault;
    if (!parse_pick(&pick, x, name, &fault)) {
        reply_fault(&x->reply, &fault);
        return NEXT_REPLY;
    }
    struct json_out json = reply_json(&x->reply);
    const struct view *view = node_view_lock(x->context->node);
    const struct ptree *instances = &view->instances;
    if (service != NULL) {
        const struct service_view *found = view_service(view, service);
        instances = found != NULL ? &found->instances : &empty;
    }
    const struct record *record = pick_instance(&pick, instances);
    if (record != NULL) {
        render_instance(&json, record);
    } else {
        reply_error(&x->reply, 503, "no_healthy_instance", "",
                    "there is no instance now that matches and is healthy");
    }
    x->reply.index = view->index;
    view_unlock(&view);
    return NEXT_REPLY;
}

enum next handle_discover(struct exchange *x)
{
    return discover(x, x->request.param, x->request.param);
}

enum next handle_discover_type(struct exchange *x)
{
    const char *type = request_query(&x->request, "type");
    if (type == NULL) {
        reply_error(&x->reply, 400, "invalid", "type", "type: is required");
        return NEXT_REPLY;
    }
    return discover(x, NULL, type);
}
