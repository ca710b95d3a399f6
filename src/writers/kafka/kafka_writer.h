/* kafka_writer.h - the writer `kafka`: each row as a message of a topic (docs/guide/kafka.md).
 *
 * Two writers share its block, and `delivery` says which of them serves it:
 *
 *   exactly_once   messages wait in a file until the checkpoint that lists it is durable, and go
 *                  out in one transaction with a marker that says so (kafka_once.c)
 *   at_least_once  messages go out at once; a checkpoint waits until all are delivered
 *                  (kafka_writer.c)
 */
#ifndef FRESHET_WRITERS_KAFKA_KAFKA_WRITER_H
#define FRESHET_WRITERS_KAFKA_KAFKA_WRITER_H

#include "writers/writer.h"

extern const writer_ops kafka_once_writer_ops;
extern const writer_ops kafka_again_writer_ops;

#endif
