/* kafka_once_conformance_test.c - the writer `kafka`, exactly once, does what every writer must. */
#include "writers/kafka/kafka_writer_testing.h"

static const char *declare(void *self)
{
    return kafka_place_declare(self, "");
}

static writer_rig rig = {.ops = &kafka_once_writer_ops,
                         .make = kafka_place_make,
                         .free = kafka_place_free,
                         .declare = declare,
                         .read = kafka_place_read_rows,
                         .breaks = disk_fails};

WRITER_CONFORMANCE(rig)
