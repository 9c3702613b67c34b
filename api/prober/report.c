/* Results on their way to the registry: only what is new is written, one write a check at a time,
 * the newest. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/prober/internal.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* Writes under way; the others wait. */
#define WRITES_MAX 256
/* After a failure: doubled each time. */
#define RETRY_MS_MIN 200u
#define RETRY_MS_MAX 5000u

/* --- those that wait --- */

static void wait_in_line(struct report *report)
{
    struct runner *r = report->runner;
    report->next = r->waiting;
    report->back = &r->waiting;
    if (report->next != NULL) {
        report->next->back = &report->next;
    }
    r->waiting = report;
}

static void leave_line(struct report *report)
{
    if (report->back != NULL) {
        *report->back = report->next;
        if (report->next != NULL) {
            report->next->back = report->back;
        }
        report->back = NULL;
        report->next = NULL;
    }
}

static void drop(struct report *report)
{
    if (report != NULL) {
        leave_line(report);
        free(report);
    }
}

/* --- writing --- */

/* The node's loop. */
static void on_done(struct node_write *write, enum status status)
{
    struct report *report = write->data;
    report->outcome = status != ST_OK ? status : write->result.status;
    free(write->result.missed);
    write->result.missed = NULL;
    lane_give(&report->runner->lane, &report->item, LANE_WRITE);
}

static void put_off(struct report *report, enum status why)
{
    static struct log_gate gate;
    uint64_t held;
    uint32_t after_ms = RETRY_MS_MIN << (report->attempts < 5 ? report->attempts : 5);
    report->attempts++;
    report->is_sent = false;
    report->retry_ms = report->runner->now_ms + (after_ms < RETRY_MS_MAX ? after_ms : RETRY_MS_MAX);
    if (log_gate_open(&gate, &held)) {
        log_write(LOG_WARN, "prober", "the result of a check could not be written yet",
                  "status=%s held_back=%" PRIu64, status_code(why), held);
    }
    wait_in_line(report);
}

static void submit(struct report *report)
{
    struct runner *r = report->runner;
    if (r->writes >= WRITES_MAX) {
        report->retry_ms = r->now_ms;
        wait_in_line(report);
        return;
    }
    const struct node_probed probed = {
        .check_id = report->check->id,
        .definition = report->definition,
        .epoch = report->epoch,
        .status = report->status,
        .note = {report->output.text, report->output.len},
    };
    report->write = (struct node_write){.data = report, .done = on_done};
    report->is_sent = true;
    r->writes++;
    metric_add(METRIC_checks_written_total, 1);
    enum status status = node_probe_write(r->node, &report->write, &probed);
    if (status != ST_OK) {
        r->writes--;
        put_off(report, status);
    }
}

void report_take(struct lane_item *item)
{
    struct report *report = CONTAINER_OF(item, struct report, item);
    struct runner *r = report->runner;
    struct check *c = report->check;
    r->writes--;
    if (c == NULL) {
        free(report);
        return;
    }
    CHECK(c->report == report);
    bool is_settled = report->outcome == ST_OK || report->outcome == ST_NOT_FOUND ||
                      report->outcome == ST_CONFLICT;
    if (c->newer != NULL) {
        c->report = c->newer;
        c->newer = NULL;
        free(report);
        submit(c->report);
    } else if (is_settled) {
        c->report = NULL;
        free(report);
    } else {
        put_off(report, report->outcome);
    }
}

void report_retry(struct runner *r)
{
    for (struct report *report = r->waiting, *next; report != NULL; report = next) {
        next = report->next;
        if (report->retry_ms <= r->now_ms && r->writes < WRITES_MAX) {
            leave_line(report);
            submit(report);
        }
    }
}

void report_forget(struct check *c)
{
    if (c->report != NULL && c->report->is_sent) {
        c->report->check = NULL; /* until its write is done */
    } else {
        drop(c->report);
    }
    drop(c->newer);
    c->report = c->newer = NULL;
}

/* --- what is new --- */

/* What is registered of the check. False: it is gone. */
static bool see(const struct runner *r, struct check *c, const struct output *output,
                bool *ret_same_output)
{
    const struct view *view = node_view_lock(r->node);
    const struct record *record = view_check(view, c->id);
    bool found = record != NULL;
    if (found && c->report == NULL) {
        c->shown = (enum health)record->declared;
    }
    *ret_same_output = found && strcmp(record_note(record), output->text) == 0;
    view_unlock(&view);
    return found;
}

static enum health judge(struct check *c, enum health found)
{
    const struct judge_limits limits = {
        .rise = c->d != NULL ? c->d->rise : 1,
        .warn = c->d != NULL ? c->d->warn : 1,
        .fall = c->d != NULL ? c->d->fall : 1,
    };
    enum health status = judge_take(&c->judge, &limits, c->shown, found);
    status = c->is_new ? found : status;
    c->is_new = false;
    return status;
}

void report_result(struct runner *r, struct check *c, uint64_t epoch, enum health found,
                   const struct output *output)
{
    bool same_output;
    if (!see(r, c, output, &same_output)) {
        return;
    }
    enum health status = judge(c, found);
    bool is_new = status != c->shown;
    bool is_due = status == found && !same_output && r->now_ms >= c->output_due_ms;
    if (!is_new && !is_due) {
        return;
    }
    struct report *report = mem_zalloc(1, sizeof *report);
    lane_item_init(&report->item);
    report->runner = r;
    report->check = c;
    report->definition = c->definition;
    report->epoch = epoch;
    report->status = status;
    report->output = *output;
    c->shown = status;
    c->output_due_ms = r->now_ms + PROBER_OUTPUT_MS;
    if (c->report != NULL && c->report->is_sent) {
        drop(c->newer);
        c->newer = report;
        return;
    }
    drop(c->report);
    c->report = report;
    submit(report);
}
