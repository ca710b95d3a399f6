/* listen_address.h - where a server listens: "127.0.0.1:8080", "[::1]:8080", "localhost:0".
 *
 * No name is looked up: the host is an address, or `localhost`, which is 127.0.0.1. Port 0 is one
 * that the system chooses.
 */
#ifndef FRESHET_DECLARATION_LISTEN_ADDRESS_H
#define FRESHET_DECLARATION_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTEN_HOST_MAX 46 /* of an address of IPv6, with its end */

typedef struct listen_address {
    char host[LISTEN_HOST_MAX]; /* in digits, without brackets */
    uint16_t port;
    bool is_v6;
    bool is_loopback; /* nobody comes there from another machine */
} listen_address;

/* NULL; or what must be otherwise, as the end of a sentence: `into` is not to be used then. */
const char *listen_address_read(const char *text, listen_address *into);

/* Is that host (`length` bytes, without a port and brackets) this machine's own: localhost, or a
 * loopback address? */
bool listen_host_is_loopback(const char *host, size_t length);

#endif
