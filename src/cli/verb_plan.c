/* verb_plan.c - freshet plan FILE: what the online store's table lacks, as CQL. */
#include <stddef.h>

#include "cli/online_store.h"

typedef struct plan_arguments {
    const char *file;
    uint32_t replicas;
    bool detailed_exitcode;
} plan_arguments;

static const argument plan_options[] = {
    {.name = "replicas",
     .kind = ARGUMENT_COUNT,
     .offset = offsetof(plan_arguments, replicas),
     .value = "N",
     .doc = "copies of each row, for a keyspace that is not there yet"},
    {.name = "detailed-exitcode",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(plan_arguments, detailed_exitcode),
     .doc = "exit with 3 where something differs"},
    {.name = NULL},
};

static freshet_code plan_run(const void *arguments)
{
    const plan_arguments *given = arguments;
    uint32_t n_changes = 0;
    stores stores;
    freshet_code code = online_stores_open(&stores, given->file);
    for (uint32_t i = 0; code == FRESHET_OK && i < stores.n; i++) {
        table_changes changes = {0};
        code = online_store_connect(&stores, &stores.items[i]);
        if (code == FRESHET_OK)
            code = online_store_compare(&stores, &stores.items[i], given->replicas, &changes);
        if (code == FRESHET_OK)
            online_store_print_changes(&stores.items[i], &changes);
        n_changes += changes.n;
        online_store_close(&stores, &stores.items[i]);
    }
    online_stores_close(&stores);
    if (!output_finish())
        return FRESHET_FAILED;
    if (given->detailed_exitcode && n_changes > 0)
        exit_with(EXIT_CHANGES);
    return code;
}

const verb verb_plan = {
    .name = "plan",
    .operand = "FILE",
    .operand_offset = offsetof(plan_arguments, file),
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
