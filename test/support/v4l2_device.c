// SPDX-License-Identifier: Apache-2.0
// What Linux's uvcvideo answers to ioctl(), for a regular file: with it preloaded, OpenCV takes the
// file for a camera. The rest is real: OpenCV's V4L2 code, its buffers, which it maps, the clock.
//
// V4L2_DEVICE is the file, V4L2_SIZE its images' size (640x480). The file holds five images in YUYV,
// each in whole pages: four buffers, then what the camera sees. A file that was removed is a camera
// that was pulled out. V4L2_REFUSED is the id of a control that the device won't have set.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 4, PERIOD_NS = 33333333, LATENCY_US = 60000 };

static unsigned width, height, queued, filled;
static struct {
    unsigned id;
    int value, low, high;
} controls[] = {
    {V4L2_CID_EXPOSURE_AUTO, V4L2_EXPOSURE_APERTURE_PRIORITY, 0, 3},
    {V4L2_CID_EXPOSURE_ABSOLUTE, 157, 1, 5000},
    {V4L2_CID_AUTO_WHITE_BALANCE, 1, 0, 1},
    {V4L2_CID_WHITE_BALANCE_TEMPERATURE, 4600, 2800, 6500},
    {V4L2_CID_GAIN, 16, 0, 100},
};

static int fail(int number) {
    errno = number;
    return -1;
}

static unsigned length(void) { return 2 * width * height; }

static off_t offset(unsigned image) { return (off_t)image * ((length() + 4095) / 4096 * 4096); }

static int control(unsigned long request, struct v4l2_control *asked) {
    const char *refused = getenv("V4L2_REFUSED");
    for (unsigned i = 0; i < sizeof controls / sizeof *controls; i++) {
        if (controls[i].id != asked->id) continue;
        if (request == VIDIOC_G_CTRL) {
            asked->value = controls[i].value;
            return 0;
        }
        if (refused && strtoul(refused, NULL, 0) == asked->id) return fail(EIO);
        if (asked->value < controls[i].low) asked->value = controls[i].low;
        if (asked->value > controls[i].high) asked->value = controls[i].high;
        controls[i].value = asked->value;
        return 0;
    }
    return fail(EINVAL);
}

static int query(struct v4l2_queryctrl *asked) {
    for (unsigned i = 0; i < sizeof controls / sizeof *controls; i++) {
        if (controls[i].id != asked->id) continue;
        asked->type = V4L2_CTRL_TYPE_INTEGER;
        asked->minimum = controls[i].low;
        asked->maximum = controls[i].high;
        asked->step = 1;
        return 0;
    }
    return fail(EINVAL);
}

static void format(struct v4l2_pix_format *pix) {
    pix->width = width;
    pix->height = height;
    pix->pixelformat = V4L2_PIX_FMT_YUYV;
    pix->field = V4L2_FIELD_NONE;
    pix->bytesperline = 2 * width;
    pix->sizeimage = length();
}

static void describe(struct v4l2_buffer *buffer) {
    buffer->length = length();
    buffer->m.offset = offset(buffer->index);
}

static int dequeue(int fd, struct v4l2_buffer *buffer) {
    struct timespec now, period = {0, PERIOD_NS};
    if (!queued) return fail(EAGAIN);
    nanosleep(&period, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    queued--;
    buffer->index = filled++ % BUFFERS;
    describe(buffer);
    char *seen = malloc(length());
    if (pread(fd, seen, length(), offset(BUFFERS)) != length() ||
        pwrite(fd, seen, length(), buffer->m.offset) != length())
        abort();
    free(seen);
    buffer->bytesused = length();
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    long long captured_us = now.tv_sec * 1000000LL + now.tv_nsec / 1000 - LATENCY_US;
    buffer->timestamp.tv_sec = captured_us / 1000000;
    buffer->timestamp.tv_usec = captured_us % 1000000;
    return 0;
}

static int answer(int fd, unsigned long request, void *argument) {
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = argument;
        memset(capability, 0, sizeof *capability);
        strcpy((char *)capability->driver, "uvcvideo");
        capability->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    }
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT:
        format(&((struct v4l2_format *)argument)->fmt.pix);
        return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_captureparm *capture = &((struct v4l2_streamparm *)argument)->parm.capture;
        capture->capability = V4L2_CAP_TIMEPERFRAME;
        capture->timeperframe = (struct v4l2_fract){1, 30};
        return 0;
    }
    case VIDIOC_QUERYCTRL:
        return query(argument);
    case VIDIOC_G_CTRL:
    case VIDIOC_S_CTRL:
        return control(request, argument);
    case VIDIOC_REQBUFS:
        ((struct v4l2_requestbuffers *)argument)->count = BUFFERS;
        return 0;
    case VIDIOC_QUERYBUF:
        describe(argument);
        return 0;
    case VIDIOC_QBUF:
        queued++;
        return 0;
    case VIDIOC_DQBUF:
        return dequeue(fd, argument);
    case VIDIOC_STREAMON:
        return 0;
    case VIDIOC_STREAMOFF:
        queued = filled = 0;
        return 0;
    }
    return fail(ENOTTY);
}

int ioctl(int fd, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    const char *device = getenv("V4L2_DEVICE"), *size = getenv("V4L2_SIZE");
    char link[32], path[4096] = "";
    struct stat status;
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!real) real = dlsym(RTLD_NEXT, "ioctl");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    // Of a file that was removed this says so behind its name.
    if (!device || !size || readlink(link, path, sizeof path - 1) < 0 ||
        strncmp(path, device, strlen(device)))
        return real(fd, request, argument);
    if (sscanf(size, "%ux%u", &width, &height) != 2) abort();
    return fstat(fd, &status) || !status.st_nlink ? fail(ENODEV) : answer(fd, request, argument);
}
