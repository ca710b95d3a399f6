/* listen_address.c - see listen_address.h. */
#include "declaration/listen_address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PORT_DIGITS_MAX 5

static bool is_loopback_v6(const struct in6_addr *address)
{
    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static bool is_loopback_v4(const struct in_addr *address)
{
    return ntohl(address->s_addr) >> 24 == 127;
}

bool listen_host_is_loopback(const char *host, size_t length)
{
    char text[LISTEN_HOST_MAX];
    struct in_addr v4;
    struct in6_addr v6;
    if (length >= sizeof text)
        return false;
    memcpy(text, host, length);
    text[length] = '\0';
    if (strlen(text) != length)
        return false;
    return strcasecmp(text, "localhost") == 0 ||
           (inet_pton(AF_INET, text, &v4) == 1 && is_loopback_v4(&v4)) ||
           (inet_pton(AF_INET6, text, &v6) == 1 && is_loopback_v6(&v6));
}

static const char *read_port(const char *text, uint16_t *port)
{
    static const char *const wrong =
        "the port must be a number from 0 to 65535 behind a colon, as in 127.0.0.1:8080";
    unsigned long number = 0;
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > PORT_DIGITS_MAX || text[n] != '\0')
        return wrong;
    number = strtoul(text, NULL, 10);
    if (number > UINT16_MAX)
        return wrong;
    *port = (uint16_t)number;
    return NULL;
}

/* The host's part, which ends before `colon`. */
static const char *read_host(const char *text, size_t length, listen_address *into)
{
    static const char *const wrong =
        "the host must be an address of this machine in digits, or localhost, as in "
        "127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080 (all of its addresses)";
    struct in_addr v4 = {0};
    struct in6_addr v6 = {0};
    into->is_v6 = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    if (into->is_v6) {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof into->host)
        return wrong;
    memcpy(into->host, text, length);
    into->host[length] = '\0';
    if (!into->is_v6 && strcasecmp(into->host, "localhost") == 0)
        memcpy(into->host, "127.0.0.1", sizeof "127.0.0.1");
    if (inet_pton(into->is_v6 ? AF_INET6 : AF_INET, into->host, into->is_v6 ? (void *)&v6 : &v4) !=
        1)
        return wrong;
    into->is_loopback = into->is_v6 ? is_loopback_v6(&v6) : is_loopback_v4(&v4);
    return NULL;
}

const char *listen_address_read(const char *text, listen_address *into)
{
    const char *colon = strrchr(text, ':');
    listen_address found = {.port = 0};
    if (colon == NULL)
        return "it must be HOST:PORT, as in 127.0.0.1:8080";
    const char *wrong = read_host(text, (size_t)(colon - text), &found);
    if (wrong == NULL)
        wrong = read_port(colon + 1, &found.port);
    if (wrong == NULL)
        *into = found;
    return wrong;
}
