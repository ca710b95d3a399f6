/* kafka_message.h - feature rows as messages: the key, and the value as Butterfree's json_transform
 * writes it, which is Spark's to_json.
 *
 * The value is one JSON object, its fields in the order of the columns. Nulls are left out, in
 * structs, too; nulls inside arrays stay. Timestamps have milliseconds (2024-05-01T12:00:00.123Z),
 * doubles and floats are written as Java does (1.0E20, 1.0E-4), NaN and infinities as texts,
 * decimals as numbers, dates as 2024-05-01, binary as base64.
 */
#ifndef FRESHET_WRITERS_KAFKA_KAFKA_MESSAGE_H
#define FRESHET_WRITERS_KAFKA_KAFKA_MESSAGE_H

#include "base/batch.h"
#include "base/text.h"

/* Appends; into->failed tells whether there was memory for it. */
void kafka_message_value(const batch *rows, uint32_t row, text_buffer *into);

/* The value of one cell as a text without quotes. */
void kafka_message_text(const column *column, uint32_t row, text_buffer *into);

/* A JSON object of some of the columns, by their numbers. */
void kafka_message_object(const batch *rows, const uint32_t *columns, uint32_t n, uint32_t row,
                          text_buffer *into);

/* As Java's Double.toString and Float.toString, of versions that give the shortest digits. */
void kafka_message_real(text_buffer *into, double value, bool as_float);

#endif
