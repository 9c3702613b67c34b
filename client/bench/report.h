/* The figures of a run for people and for programs.
 *
 * Thread: any. Owns: nothing. */
#ifndef MUSTER_BENCH_REPORT_H
#define MUSTER_BENCH_REPORT_H

#include <stdio.h>

#include <jansson.h>

#include "client/bench/bench.h"

const char *report_kind_name(enum bench_kind kind);
void report_table(FILE *file, const struct bench_options *options,
                  const struct bench_result *result);
/* Gives an object. Durations are milliseconds. */
json_t *report_json(const struct bench_options *options, const struct bench_result *result);

#endif
