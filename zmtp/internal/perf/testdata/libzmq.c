// The programs of libzmq's perf directory in one, for the comparison of main.go: push and pull are remote_thr and
// local_thr, req and rep remote_lat and local_lat. cc -O2 -o libzmq libzmq.c -lzmq
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

static void must(int ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}

// The process's resident memory, but for the pages of its files.
static long resident(void) {
  long ignored, pages, shared;
  FILE *f = fopen("/proc/self/statm", "r");
  if (fscanf(f, "%ld %ld %ld", &ignored, &pages, &shared) != 3) exit(1);
  fclose(f);
  return (pages - shared) * sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const char *role = argv[1], *address = argv[2];
  int size = atoi(argv[3]), count = atoi(argv[4]);
  void *context = zmq_ctx_new();
  zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 20000);
  zmq_msg_t m;
  if (!strcmp(role, "push")) {
    void *s = zmq_socket(context, ZMQ_PUSH);
    must(!zmq_connect(s, address), "connect");
    for (int i = 0; i < count; i++) {
      zmq_msg_init_size(&m, size);
      must(zmq_msg_send(&m, s, 0) >= 0, "send");
    }
    zmq_close(s);
  } else if (!strcmp(role, "pull")) {
    void *s = zmq_socket(context, ZMQ_PULL);
    must(!zmq_bind(s, address), "bind");
    zmq_msg_init(&m);
    for (int i = 0; i < count; i++) must(zmq_msg_recv(&m, s, 0) >= 0, "receive");
    zmq_close(s);
  } else if (!strcmp(role, "req")) {
    void *s = zmq_socket(context, ZMQ_REQ);
    must(!zmq_connect(s, address), "connect");
    zmq_msg_init_size(&m, size);
    double *took = malloc(count * sizeof *took);
    for (int i = 0; i < count; i++) {
      double begin = now();
      must(zmq_msg_send(&m, s, 0) >= 0, "send");
      must(zmq_msg_recv(&m, s, 0) >= 0, "receive");
      took[i] = now() - begin;
    }
    qsort(took, count, sizeof *took, ascending);
    printf("%.2f\n", took[count / 2]);
    zmq_close(s);
  } else if (!strcmp(role, "rep")) {
    void *s = zmq_socket(context, ZMQ_REP);
    must(!zmq_bind(s, address), "bind");
    zmq_msg_init(&m);
    for (int i = 0; i < count; i++) {
      must(zmq_msg_recv(&m, s, 0) >= 0, "receive");
      must(zmq_msg_send(&m, s, 0) >= 0, "send");
    }
    zmq_close(s);
  } else if (!strcmp(role, "pub") || !strcmp(role, "idle")) {
    // Waits for the number of subscriptions in an environment variable, then publishes, or says what they take.
    int subs = atoi(getenv("SUBS"));
    void *s = zmq_socket(context, ZMQ_XPUB);
    int verbose = 1, unlimited = 0;
    zmq_setsockopt(s, ZMQ_XPUB_VERBOSE, &verbose, sizeof verbose);
    if (!strcmp(role, "pub")) zmq_setsockopt(s, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    must(!zmq_bind(s, address), "bind");
    long before = resident();
    zmq_msg_init(&m);
    for (int i = 0; i < subs; i++) must(zmq_msg_recv(&m, s, 0) >= 0, "receive");
    if (!strcmp(role, "idle")) {
      printf("%ld\n", resident() - before);
      return 0;
    }
    for (int i = 0; i < count; i++) {
      zmq_msg_init_size(&m, size);
      memset(zmq_msg_data(&m), 0, size);
      must(zmq_msg_send(&m, s, 0) >= 0, "send");
    }
    zmq_close(s);
  } else {
    return 2;
  }
  zmq_ctx_term(context);
  return 0;
}
