/* spark_cells.h - cells of any type as Spark writes them: a cast to string, and JSON. */
#ifndef FRESHET_FUNCTIONS_SPARK_CELLS_H
#define FRESHET_FUNCTIONS_SPARK_CELLS_H

#include "base/number.h"
#include "functions/spark_rows.h"

#define JAVA_REAL_MAX 40
#define JAVA_DECIMAL_MAX 60

/* A text that grows in the call's arena; nothing more is put once the call has failed. */
typedef struct growing {
    row_call *call;
    char *bytes;
    size_t length, capacity;
} growing;

void put(growing *into, const char *bytes, size_t length);
void put_text(growing *into, const char *text);
void give_growing(const growing *from);

/* As Java's Double.toString and Float.toString: 1.0, 1.0E10, NaN, Infinity. Its length; no end. */
size_t java_real(double value, bool as_float, char into[JAVA_REAL_MAX]);
/* As BigDecimal.toString. */
size_t java_decimal(int128 value, unsigned scale, char into[JAVA_DECIMAL_MAX]);

/* The cell, which is not null, as Spark's cast to string has it. */
void put_cell(growing *into, const column *column, uint64_t row);
/* The same as JSON; a null is null. */
void put_json(growing *into, const column *column, uint64_t row);
/* With `ascii_pairs` characters beyond 16 bits are escaped, as Jackson does where it writes bytes.
 */
void put_json_text(growing *into, const char *bytes, size_t length, bool ascii_pairs);

#endif
