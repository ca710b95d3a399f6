/* spark_functions_times.c - dates and times: see spark_functions.h for how a row is read. */
#include <stddef.h>

#include "dialect/spark_functions.h"

const spark_function spark_functions_times[] = {
    {"add_months", "Di", "date", "CAST($1 + to_months($2) AS DATE)", false},
    {"date_add", "Di", "date", "$1 + $2", false},
    {"dateadd", "Di", "date", "$1 + $2", false},
    {"date_diff", "DD", "int", "$1 - $2", false},
    {"datediff", "DD", "int", "$1 - $2", false},
    {"date_format", "Ts", "string", "mask_write($1, $2)", false},
    {"date_from_unix_date", "i", "date", "DATE '1970-01-01' + $1", false},
    {"date_sub", "Di", "date", "$1 - $2", false},
    {"day", "D", "int", "day($1)", false},
    {"dayofmonth", "D", "int", "day($1)", false},
    {"dayofweek", "D", "int", "dayofweek($1) + 1", false},
    {"dayofyear", "D", "int", "dayofyear($1)", false},
    {"from_unixtime", "b", "string",
     "mask_write(make_timestamp($1 * 1000000), 'yyyy-MM-dd HH:mm:ss')", false},
    {"from_unixtime", "bs", "string", "mask_write(make_timestamp($1 * 1000000), $2)", false},
    {"from_utc_timestamp", "Ts", "timestamp", "timezone($2, timezone('UTC', $1))", false},
    {"hour", "T", "int", "hour($1)", false},
    {"last_day", "D", "date", "last_day($1)", false},
    {"minute", "T", "int", "minute($1)", false},
    {"month", "D", "int", "month($1)", false},
    {"quarter", "D", "int", "quarter($1)", false},
    {"second", "T", "int", "second($1)", false},
    {"timestamp_micros", "b", "timestamp", "make_timestamp($1)", false},
    {"timestamp_millis", "b", "timestamp", "make_timestamp($1 * 1000)", false},
    {"to_date", "*", "date", "$1", false}, /* the cast that `gives` asks for is Spark's */
    {"to_timestamp", "*", "timestamp", "$1", false},
    {"to_utc_timestamp", "Ts", "timestamp", "timezone('UTC', timezone($2, $1))", false},
    {"unix_date", "D", "int", "$1 - DATE '1970-01-01'", false},
    {"unix_micros", "T", "bigint", "epoch_us($1)", false},
    {"unix_millis", "T", "bigint", "CAST(floor(epoch_us($1) / 1000) AS BIGINT)", false},
    {"unix_seconds", "T", "bigint", "CAST(floor(epoch_us($1) / 1000000) AS BIGINT)", false},
    {"weekday", "D", "int", "isodow($1) - 1", false},
    {"weekofyear", "D", "int", "weekofyear($1)", false},
    {"year", "D", "int", "year($1)", false},
    {NULL, NULL, NULL, NULL, false},
};
