/* h3_cell.h - the H3 cell of a place on earth: h3_latlng_to_cell_string(lat, lng, resolution), as
 * the function of that name in DuckDB's extension.
 *
 * The only file that knows libh3. An id is its lower-case hexadecimal digits, as Butterfree and all
 * of H3's libraries write it. Coordinates are degrees; those beyond the poles and the date line are
 * taken as the library takes them: round the globe. NaN and infinities are errors of their row.
 */
#ifndef FRESHET_FUNCTIONS_H3_CELL_H
#define FRESHET_FUNCTIONS_H3_CELL_H

#include "sql/sql.h"

#define H3_CELL_FUNCTION "h3_latlng_to_cell_string"
#define H3_RESOLUTION_MAX 15

/* For the table of functions. */
freshet_code h3_cell_call(void *context, const batch *arguments, column *result,
                          freshet_error *err);

#endif
