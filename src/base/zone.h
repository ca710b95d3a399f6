/* zone.h - time zones: offsets as written, and regions of the system's time zone database (tzdata).
 *
 * Order of calls: zone_offset and zone_offset_at alone. Regions read once are kept for the life of
 * the process, at most ZONE_REGIONS_MAX of them. Any thread may call.
 */
#ifndef FRESHET_BASE_ZONE_H
#define FRESHET_BASE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONE_NAME_MAX 64
#define ZONE_REGIONS_MAX 1024
#define ZONE_FILE_BYTES_MAX 65536

/* Reads a zone (Z, +03:00, UTC-3, America/Sao_Paulo; the forms are in timestamp.h): the seconds
 * to add to UTC when that zone's clock shows `local_s` (seconds since 1970-01-01 00:00:00 on
 * that clock). Where the clock is set back and shows a time twice, it is the earlier instant; a
 * time that is skipped where the clock is set forward is taken as if the clock had not been set
 * yet. False where there is no such zone. */
bool zone_offset(const char *name, size_t length, int64_t local_s, int32_t *offset_s);

/* The same at an instant, seconds since 1970-01-01 00:00:00 UTC. */
bool zone_offset_at(const char *name, size_t length, int64_t utc_s, int32_t *offset_s);

#endif
