/* protocol.h - what the query server and its clients say to each other, on a private Unix socket.
 *
 * Both sides send frames: one byte of kind, four bytes of length (little-endian), and so many
 * bytes. Numbers in them are little-endian, too.
 *
 *     from the server, first:
 *       H  version u32, process u32, name of the pipeline      it listens
 *       E  (as below)                                          it does not: too many connections
 *     from the client:
 *       Q  format u8, timeout_us i64, SQL                      freshet_query, printed
 *       S  -                                                   the status
 *     from the server, for each of these:
 *       D  bytes of the answer                                 any number of times, and then one of
 *       Z  -                                                   that was all
 *       E  code u32, then u32, length u32 of `at`, at, text    a freshet_error
 *
 * The client does not send again before Z or E. A request is at most PROTOCOL_REQUEST_MAX bytes; a
 * longer one, or one that is none of these, is answered by E and the end of the connection. A frame
 * that was begun must arrive within PROTOCOL_FRAME_US.
 */
#ifndef FRESHET_OPERATE_PROTOCOL_H
#define FRESHET_OPERATE_PROTOCOL_H

#include <freshet/freshet.h>

#include <sys/un.h>

#include "base/text.h"

#define PROTOCOL_VERSION 1u
#define PROTOCOL_REQUEST_MAX ((size_t)1 << 20)
#define PROTOCOL_ANSWER_MAX ((size_t)1 << 20) /* bytes of one D, E or H */
#define PROTOCOL_FRAME_US INT64_C(10000000)

#define FRAME_HELLO 'H'
#define FRAME_QUERY 'Q'
#define FRAME_STATUS 'S'
#define FRAME_DATA 'D'
#define FRAME_DONE 'Z'
#define FRAME_ERROR 'E'

typedef struct frame {
    char kind;
    text_buffer payload;
} frame;

/* Sockets are non-blocking ones; deadlines are of the monotonic clock. */

/* FRESHET_FAILED where the other side is gone or did not take it in time. */
freshet_code frame_send(int socket, char kind, const void *payload, size_t length,
                        int64_t deadline_us, freshet_error *err);

/* FRESHET_END where the other side has ended in good order, FRESHET_LIMIT for a frame of more than
 * `length_max` bytes, FRESHET_FAILED where nothing whole comes in time. */
freshet_code frame_receive(int socket, frame *into, size_t length_max, int64_t deadline_us,
                           freshet_error *err);

freshet_code frame_send_error(int socket, const freshet_error *error, int64_t deadline_us,
                              freshet_error *err);
/* Reads an E frame into *error; false for one that is cut. */
bool frame_read_error(const frame *frame, freshet_error *error);

void put_u32(char *into, uint32_t value);
uint32_t get_u32(const char *from);
void put_i64(char *into, int64_t value);
int64_t get_i64(const char *from);

/* The folder of the sockets (query_server.h); with `make` it is made where it is missing. It is
 * refused when it is not the user's own (root may look into those of others). FRESHET_END where it
 * is missing and not made. */
#define RUNTIME_FOLDER_MAX 256
freshet_code runtime_folder(char folder[RUNTIME_FOLDER_MAX], bool make, freshet_error *err);

/* <folder>/<pipeline>.sock; FRESHET_USAGE for a name that gives none. */
freshet_code runtime_socket(const char *folder, const char *pipeline, struct sockaddr_un *into,
                            freshet_error *err);

#endif
