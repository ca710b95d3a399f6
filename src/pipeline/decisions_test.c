/* decisions_test.c - each option of each block has its row in the table of features/meaning.c,
 * which says what a change of it does to a stream's state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "declaration/blocks.h"
#include "declaration/read.h"
#include "features/meaning.h"
#include "pipeline/pipeline.h"

static unsigned check_block(const block_kind *block);

static unsigned check_kinds(const block_kind *const *kinds)
{
    unsigned undecided = 0;
    for (; *kinds != NULL; kinds++)
        undecided += check_block(*kinds);
    return undecided;
}

/* How many options below the block are not decided; says which. */
static unsigned check_block(const block_kind *block)
{
    const registry *registry = registry_of_engine();
    unsigned undecided = 0;
    for (const option *option = block->options; option->name != NULL; option++) {
        if (option->is_aside) {
            continue; /* no part of a run */
        } else if (option->kind == OPTION_KIND) {
            undecided += check_kinds(registry_kinds(registry, option->kinds));
        } else if (option->kind == OPTION_BLOCK || option->kind == OPTION_BLOCKS) {
            undecided += check_block(option->block);
        } else if (meaning_fate_of(block->name, option->name) == MEANING_UNDECIDED) {
            print_error("src/features/meaning.c: `decisions` needs a row for the option \"%s\" of "
                        "the block \"%s\": what becomes of the state of a stream where it is "
                        "changed?\n",
                        option->name, block->name);
            undecided++;
        }
    }
    return undecided;
}

static void every_option_is_decided(void **state)
{
    (void)state;
    assert_int_equal(check_block(&declaration_block), 0);
    assert_int_equal(meaning_fate_of("file", "no such option"), MEANING_UNDECIDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_option_is_decided)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
