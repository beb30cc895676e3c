/* Attribute words of the DOCA API. The emulator has nothing to deprecate, so that they stand for nothing; programs that
 * define DOCA_ALLOW_EXPERIMENTAL_API and programs that do not build alike.
 *
 * Every header in this folder is ours, written from the names, argument orders and numbers that programs rely on. None of
 * it is NVIDIA's text. */
#ifndef DOCA_COMPAT_H_
#define DOCA_COMPAT_H_

#define DOCA_STABLE
#define DOCA_EXPERIMENTAL

#endif
