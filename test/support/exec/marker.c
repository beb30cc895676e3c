/* A program that leaves a mark when it runs: the file that MARK names, with its own kind (NAME, `ok` or `evil`) behind it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    const char *mark = getenv("MARK");
    char path[640];
    int file;

    snprintf(path, sizeof(path), "%s.%s", mark ? mark : "/dev/null", NAME);
    file = open(path, O_WRONLY | O_CREAT, 0600);
    if (file >= 0)
        close(file);
    return 0;
}
