/* Seams for mutants of the simulator that need no wrapped function; tests/mutants/ chooses the
 * mutant.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_MUTANTS_H
#define MUSTER_SIM_MUTANTS_H

struct consensus;
struct engine;

/* Fills c->files from c->disk_files. */
void mutants_wrap_files(struct consensus *c);
/* After each turn of the loop. */
void mutants_pumped(struct engine *e);

#endif
