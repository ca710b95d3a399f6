/* verb_plan.c - freshet plan FILE: what the online store's table lacks, as CQL. */
#include <stddef.h>

#include "cli/online_store.h"

typedef struct plan_arguments {
    const char *file;
    uint32_t replicas;
    bool detailed_exitcode;
} plan_arguments;

static const argument plan_options[] = {
    {ARGUMENT("replicas", COUNT, plan_arguments, replicas), .value = "N",
     .doc = "copies of each row, for a keyspace that is not there yet"},
    {ARGUMENT("detailed-exitcode", FLAG, plan_arguments, detailed_exitcode),
     .doc = "exit with 3 where something differs"},
    {.name = NULL},
};

static freshet_code plan_run(const void *arguments, freshet_error *err)
{
    const plan_arguments *given = arguments;
    return online_stores_compare(given->file, given->replicas, given->detailed_exitcode, NULL, NULL,
                                 err);
}

const verb verb_plan = {
    .name = "plan",
    .operand = "FILE",
    .summary = "show what the online store's table lacks",
    .doc = "Compares the declaration with the table in Cassandra that it writes to, and prints the "
           "CQL\n"
           "that makes the table fit, with a comment for each difference. Changes nothing.",
    .examples = "    freshet plan flights.yaml\n"
                "    freshet plan flights.yaml --detailed-exitcode || freshet apply flights.yaml "
                "--yes\n",
    .arguments = plan_options,
    .size = sizeof(plan_arguments),
    .run = plan_run,
};
