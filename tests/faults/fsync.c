/* Stands before the C library. While the file that FSYNC_FAULT names exists, syncing fails;
   if a number is in it, syncing takes so many seconds longer instead. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int fails(void) {
    unsigned seconds;
    FILE *fault = fopen(getenv("FSYNC_FAULT"), "r");
    if (fault == NULL)
        return 0;
    int is_late = fscanf(fault, "%u", &seconds) == 1;
    fclose(fault);
    if (is_late) {
        sleep(seconds);
        return 0;
    }
    errno = EIO;
    return 1;
}

static int sync_by(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return fails() ? -1 : real(file);
}

int fsync(int file) { return sync_by("fsync", file); }

int fdatasync(int file) { return sync_by("fdatasync", file); }
