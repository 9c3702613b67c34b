#include "api/native/handlers.h"

#include <string.h>

#include "api/core/render.h"
#include "api/native/filter_query.h"
#include "server/registry/choose.h"

static bool parse_choice(struct choice *choice, const struct request *request,
                         struct problem *problem)
{
    const char *strategy = request_query(request, "strategy");
    choice->strategy = STRATEGY_RANDOM;
    if (strategy != NULL && !strategy_parse(strategy, &choice->strategy)) {
        problem_set(problem, "strategy", "must be random, round_robin, first or weighted");
        return false;
    }
    choice->near = request_query(request, "near");
    return filter_parse(&choice->filter, request, FILTER_DISCOVERABLE, problem);
}

bool check_choice(struct exchange *x, struct problem *problem)
{
    struct choice choice;
    return parse_choice(&choice, &x->request, problem);
}

bool check_type(struct exchange *x, struct problem *problem)
{
    if (request_query(&x->request, "type") == NULL) {
        problem_set(problem, "type", "is required");
        return false;
    }
    return check_choice(x, problem);
}

/* `service` as it is stored; NULL: among all instances of the namespace. */
static enum next discover(struct exchange *x, const char *service, const char *name)
{
    static const struct ptree empty;
    struct choice choice;
    struct problem problem;
    if (!parse_choice(&choice, &x->request, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    choice.random = &x->scratch->random;
    choice.first = choice.count = 0;
    choice.turn = choice.strategy == STRATEGY_ROUND_ROBIN ? exchange_take_turn(x, name) : 0;
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct ptree *instances = &empty;
    if (service != NULL) {
        const struct service_view *found = view_service(view, service);
        instances = found != NULL ? &found->instances : &empty;
    } else if (choice_among_namespace(&choice, view, permit_space(&x->permit))) {
        choice.filter.viewer = &viewer;
        instances = &view->instances;
    }
    const struct record *record = choose_instance(&choice, instances);
    if (record != NULL) {
        render_instance(&json, record);
    } else {
        response_error(&x->response, 503, "no_healthy_instance", "",
                       "there is no instance now that matches and is healthy");
    }
    x->response.index = view->index;
    response_asked(&x->response,
                   service != NULL ? view_service_index(view, service) : view->changed_index);
    view_unlock(&view);
    return NEXT_RESPOND;
}

enum next handle_discover(struct exchange *x)
{
    return discover(x, x->permit.key, x->permit.key);
}

enum next handle_discover_type(struct exchange *x)
{
    return discover(x, NULL, request_query(&x->request, "type"));
}
