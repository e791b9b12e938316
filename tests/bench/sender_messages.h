/* The messages of the sender: what applications write, with the present time and each with its number in `seq=`. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MESSAGE_BYTES = 512 }; /* the longest message is below 300 bytes */

enum shape { RFC5424, RFC3164, JSON };

/* The length of every datagram, by shape: longer than any message of the first thousand million would be by itself. */
static const size_t DATAGRAM_BYTES[] = {[RFC5424] = 136, [RFC3164] = 124, [JSON] = 208};

static const char *const SERVICES[] = {"checkout", "cart", "payment", "search", "auth", "gateway", "nginx", "postgres"};
/* Mostly info, some warnings, few errors: PRI values of facility local0. */
static const int PRIORITIES[] = {134, 134, 134, 134, 134, 134, 134, 132, 134, 131};

static char *put_text(char *at, const char *text) {
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static char *put_number(char *at, uint64_t number) {
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count)
        *at++ = digits[--count];
    return at;
}

static int count_digits(uint64_t number) {
    int count = 1;
    while (number /= 10)
        count++;
    return count;
}

/* The stamps of a moment, written anew once in a while. */
static struct {
    char iso[40], bsd[24];
} stamp;

static void take_stamp(void) {
    struct timespec now;
    struct tm utc;
    size_t length;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    length = strftime(stamp.iso, sizeof stamp.iso, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp.iso + length, sizeof stamp.iso - length, ".%06ldZ", now.tv_nsec / 1000);
    strftime(stamp.bsd, sizeof stamp.bsd, "%b %e %H:%M:%S", &utc);
}

static char *put_host(char *at, uint64_t n) {
    at = put_text(at, "web-");
    *at++ = (char)('0' + n % 24 / 10);
    *at++ = (char)('0' + n % 24 % 10);
    return at;
}

/* What happened, and its number: up to `end` with leading zeros, or as long as it is. */
static char *put_what_happened(char *at, uint64_t n, const char *end) {
    switch (n % 4) {
    case 0:
        at = put_number(put_text(at, "GET /api/v1/products/"), n % 50000);
        at = put_number(put_text(at, " 200 "), n % 251);
        at = put_number(put_text(at, " ms user="), n % 9973);
        break;
    case 1:
        at = put_number(put_text(at, "order "), n % 900001);
        at = put_number(put_text(at, " placed by user "), n % 9973);
        at = put_text(put_number(put_text(at, ", total "), n % 251), ".99 EUR");
        break;
    case 2:
        at = put_number(put_text(at, "connection from 10.2.3."), n % 251);
        at = put_text(put_number(put_text(at, " closed after "), n % 900001), " bytes");
        break;
    default:
        at = put_number(put_text(at, "cache miss for key session:"), n % 9973);
        at = put_text(put_number(put_text(at, ", loaded in "), n % 251), " ms");
    }
    at = put_text(at, " seq=");
    for (int digits = count_digits(n); end && at + digits < end;)
        *at++ = '0';
    return put_number(at, n);
}

static char *put_json(char *at, uint64_t n, const char *end) {
    const int priority = PRIORITIES[n * 7 % 10];
    const char *level = priority == 134 ? "info" : priority == 132 ? "warning" : "error";
    at = put_text(put_text(at, "{\"timestamp\":\""), stamp.iso);
    at = put_text(put_text(at, "\",\"level\":\""), level);
    at = put_text(put_text(at, "\",\"service\":\""), SERVICES[n * 5 % 8]);
    at = put_host(put_text(at, "\",\"host\":\""), n);
    at = put_number(put_text(at, "\",\"duration_ms\":"), n % 251);
    at = put_what_happened(put_text(at, ",\"message\":\""), n, end ? end - 2 : NULL);
    return put_text(at, "\"}");
}

/* Write message number n; with an `end` it is as long as that, else as long as it is. Returns its end. */
static char *put_message(char *at, uint64_t n, enum shape shape, const char *end) {
    if (shape == JSON)
        return put_json(at, n, end);
    *at++ = '<';
    at = put_number(at, (uint64_t)PRIORITIES[n * 7 % 10]);
    at = put_text(at, shape == RFC5424 ? ">1 " : ">");
    at = put_text(at, shape == RFC5424 ? stamp.iso : stamp.bsd);
    *at++ = ' ';
    at = put_host(at, n);
    *at++ = ' ';
    at = put_text(at, SERVICES[n * 5 % 8]);
    at = put_number(put_text(at, shape == RFC5424 ? " " : "["), 1000 + n % 50);
    at = put_text(at, shape == RFC5424 ? " - - " : "]: ");
    return put_what_happened(at, n, end);
}
