/* Sends log messages faster than a daemon can take them, or UDP datagrams at an exact rate.
 *
 *   sender tcp|udp HOST PORT [--count N] [--shape rfc5424|rfc3164|json] [--framing newline|octet]
 *                            [--file F] [--rate R] [--wait]
 *
 * Messages are made on the way, with the present time and their number in `seq=`; or they are those of a file: a TCP
 * stream as it is, for UDP each behind its length (uint16, big-endian). With --wait it prints `ready` and begins at a
 * line from its standard input. At the end it prints one JSON document: messages (0 for a stream from a file), bytes,
 * seconds, and for a rate the most it was ever late, in seconds.
 */
#define _GNU_SOURCE
#include "sender_messages.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 256 * 1024, /* one write */
    GROUP = 64,               /* datagrams of one call, the most UDP_SEGMENT takes */
};

struct options {
    int datagrams, octet_counting, wait;
    enum shape shape;
    const char *host, *port, *file;
    uint64_t count;
    double rate;
};

struct report {
    uint64_t messages, bytes;
    double late_seconds;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static char *map_file(const char *path, size_t *size) {
    struct stat status;
    char *data;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status) < 0)
        die(path);
    *size = (size_t)status.st_size;
    if (!*size)
        return NULL;
    data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (data == MAP_FAILED)
        die(path);
    close(file);
    return data;
}

static void write_all(int sock, const char *data, size_t size, struct report *report) {
    report->bytes += size;
    while (size) {
        ssize_t written = send(sock, data, size, MSG_NOSIGNAL);
        if (written < 0)
            die("send");
        data += written;
        size -= (size_t)written;
    }
}

static void send_file_stream(int sock, const char *data, size_t size, struct report *report) {
    for (size_t start = 0; start < size; start += PIECE_BYTES)
        write_all(sock, data + start, size - start < PIECE_BYTES ? size - start : PIECE_BYTES, report);
}

static char *put_framed(char *at, uint64_t n, const struct options *options) {
    char message[MESSAGE_BYTES];
    size_t length;
    if (!options->octet_counting) {
        at = put_message(at, n, options->shape, NULL);
        *at++ = '\n';
        return at;
    }
    length = (size_t)(put_message(message, n, options->shape, NULL) - message);
    at = put_text(put_number(at, length), " ");
    memcpy(at, message, length);
    return at + length;
}

static void send_made_stream(int sock, const struct options *options, struct report *report) {
    static char piece[PIECE_BYTES];
    while (report->messages < options->count) {
        char *at = piece;
        take_stamp();
        while (report->messages < options->count && at < piece + PIECE_BYTES - MESSAGE_BYTES)
            at = put_framed(at, report->messages++, options);
        write_all(sock, piece, (size_t)(at - piece), report);
    }
}

struct pace {
    double rate, started, allowed_at;
};

/* Wait until some datagrams are due; return how many, at most a group. One that was kept from its processor for a
 * while makes up for it at 1.25 times the rate, a millisecond's worth at a time: no bursts of the benchmark's own. */
static unsigned wait_until_due(struct pace *pace, struct report *report) {
    /* A tenth of a millisecond's worth at a time: single ones would be more wake-ups than a core has. */
    const double share = pace->rate / 10e3, least = share < 1 ? 1 : share > GROUP ? GROUP : share;
    const double due_at = pace->started + ((double)report->messages + least) / pace->rate;
    const double begin = due_at > pace->allowed_at ? due_at : pace->allowed_at;
    double now;
    while ((now = now_seconds()) < begin) {
        double rest = begin - now;
        struct timespec pause = {(time_t)rest, (long)((rest - (double)(time_t)rest) * 1e9)};
        nanosleep(&pause, NULL);
    }
    if (now - due_at > report->late_seconds)
        report->late_seconds = now - due_at;
    if (pace->allowed_at < now - 1e-3)
        pace->allowed_at = now - 1e-3;
    pace->allowed_at += least / (1.25 * pace->rate);
    return (unsigned)least;
}

/* Whether an error is no reason to give up: the queue is full, or an earlier datagram met no listener. */
static int is_passing(void) {
    return errno == ENOBUFS || errno == ECONNREFUSED;
}

static void send_group(int sock, struct mmsghdr *messages, unsigned count) {
    for (unsigned sent = 0; sent < count;) {
        int taken = sendmmsg(sock, messages + sent, count - sent, 0);
        if (taken < 0 && !is_passing())
            die("sendmmsg");
        sent += taken > 0 ? (unsigned)taken : 0;
    }
}

static void send_file_datagrams(int sock, const struct options *options, char *data, size_t size,
                                struct report *report) {
    struct iovec vectors[GROUP];
    struct mmsghdr messages[GROUP] = {0};
    const char *end = data + size;
    struct pace pace = {.rate = options->rate, .started = now_seconds()};
    for (int each = 0; each < GROUP; each++)
        messages[each].msg_hdr = (struct msghdr){.msg_iov = &vectors[each], .msg_iovlen = 1};
    while (data < end) {
        const unsigned wanted = options->rate > 0 ? wait_until_due(&pace, report) : GROUP;
        unsigned count = 0;
        for (; count < wanted && data < end; count++) {
            size_t length = (size_t)(unsigned char)data[0] << 8 | (unsigned char)data[1];
            vectors[count] = (struct iovec){.iov_base = data + 2, .iov_len = length};
            data += 2 + length;
            report->bytes += length;
        }
        send_group(sock, messages, count);
        report->messages += count;
    }
}

/* All of one length, so that the kernel cuts one piece into datagrams (UDP_SEGMENT): a fifth of the work. */
static void send_made_datagrams(int sock, const struct options *options, struct report *report) {
    static char piece[GROUP * MESSAGE_BYTES];
    const size_t length = DATAGRAM_BYTES[options->shape];
    const int segment = (int)length;
    struct pace pace = {.rate = options->rate, .started = now_seconds()};
    if (setsockopt(sock, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0)
        die("UDP_SEGMENT");
    while (report->messages < options->count) {
        uint64_t wanted = options->rate > 0 ? wait_until_due(&pace, report) : GROUP;
        char *at = piece;
        if (wanted > options->count - report->messages)
            wanted = options->count - report->messages;
        take_stamp();
        for (uint64_t each = 0; each < wanted; each++)
            at = put_message(at, report->messages++, options->shape, at + length);
        while (send(sock, piece, (size_t)(at - piece), 0) < 0)
            if (!is_passing())
                die("send");
        report->bytes += (uint64_t)(at - piece);
    }
}

static void usage(void) {
    fprintf(stderr, "usage: sender tcp|udp HOST PORT [--count N] [--shape rfc5424|rfc3164|json]"
                    " [--framing newline|octet] [--file F] [--rate R] [--wait]\n");
    exit(2);
}

static enum shape read_shape(const char *name) {
    if (!strcmp(name, "rfc5424"))
        return RFC5424;
    if (!strcmp(name, "rfc3164"))
        return RFC3164;
    if (strcmp(name, "json"))
        usage();
    return JSON;
}

static struct options read_options(int argc, char **argv) {
    static const struct option known[] = {{"count", 1, 0, 'c'}, {"shape", 1, 0, 's'}, {"framing", 1, 0, 'f'},
                                          {"file", 1, 0, 'i'},  {"rate", 1, 0, 'r'},  {"wait", 0, 0, 'w'},
                                          {0, 0, 0, 0}};
    struct options options = {.count = 1000000};
    for (int found; (found = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (found) {
        case 'c': options.count = strtoull(optarg, NULL, 10); break;
        case 's': options.shape = read_shape(optarg); break;
        case 'f': options.octet_counting = !strcmp(optarg, "octet"); break;
        case 'i': options.file = optarg; break;
        case 'r': options.rate = atof(optarg); break;
        case 'w': options.wait = 1; break;
        default: usage();
        }
    }
    if (argc - optind != 3)
        usage();
    options.datagrams = !strcmp(argv[optind], "udp");
    options.host = argv[optind + 1];
    options.port = argv[optind + 2];
    return options;
}

static int connect_to(const struct options *options) {
    struct addrinfo hints = {.ai_socktype = options->datagrams ? SOCK_DGRAM : SOCK_STREAM}, *found;
    int sock, problem = getaddrinfo(options->host, options->port, &hints, &found);
    if (problem) {
        fprintf(stderr, "%s: %s\n", options->host, gai_strerror(problem));
        exit(1);
    }
    sock = socket(found->ai_family, found->ai_socktype, 0);
    if (sock < 0 || connect(sock, found->ai_addr, found->ai_addrlen) < 0)
        die("connect");
    freeaddrinfo(found);
    return sock;
}

int main(int argc, char **argv) {
    const struct options options = read_options(argc, argv);
    struct report report = {0};
    size_t size = 0;
    char *data = options.file ? map_file(options.file, &size) : NULL;
    const int sock = connect_to(&options);
    prctl(PR_SET_TIMERSLACK, 1UL); /* sleep as long as was said, not 50 microseconds more */
    if (options.wait) {
        puts("ready");
        fflush(stdout);
        if (getchar() == EOF)
            return 1;
    }
    const double started = now_seconds();
    if (options.datagrams && options.file)
        send_file_datagrams(sock, &options, data, size, &report);
    else if (options.datagrams)
        send_made_datagrams(sock, &options, &report);
    else if (options.file)
        send_file_stream(sock, data, size, &report);
    else
        send_made_stream(sock, &options, &report);
    shutdown(sock, SHUT_WR);
    printf("{\"messages\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"late_seconds\": %.6f}\n",
           (unsigned long long)report.messages, (unsigned long long)report.bytes, now_seconds() - started,
           report.late_seconds);
    return 0;
}
