/*
 * Volumes of workspaces behind DOCA DevEmu virtio-fs: the same authorizer and the same operations as vaultfs (src/native/vault),
 * asked by the guest of a function that the DPU emulates. NVIDIA has published no interface of DOCA Vault: this one is ours.
 *
 * Flat: fixed-width integers, text, octets; no callbacks. 0 or a negative errno; `why` gets a sentence, and outputs stay untouched
 * on failure. One process serves; calls may come from any thread.
 *
 * A volume has one thread, which serves its guest's requests in the order in which they came. A guest's kernel is not believed: it
 * knows nodes and open files by numbers of ours, is answered without any time for which it may remember, and what it says of users
 * and processes goes into the trail as its claim.
 */
#ifndef SLUICE_DOCA_VAULT_H
#define SLUICE_DOCA_VAULT_H

#include <stdint.h>

#define SLUICE_DOCA_VAULT_ABI 2u

uint32_t sluice_doca_vault_abi(void);
/* 1: on the card in software of doca-shims/vault/emulator, which serves nobody outside this process. */
uint32_t sluice_doca_vault_emulated(void);
/* Asks, and opens nothing: a card belongs to one process. 0; -ENODEV: no such card; -EOPNOTSUPP: it emulates no virtio-fs. */
int32_t sluice_doca_vault_card(const char *pci);

/* Keeps flags of workspaces in `directory`, and the deadline of what is live by a thread of its own. Before everything else, once. */
int32_t sluice_doca_vault_open(const char *directory, char *why, uint32_t room);
/* Which function serves a volume: the card by PCI address, the function by VUID, and the tag (at most 20 octets) that the guest
 * mounts. Kept until `close`; a table that names a volume without a place cannot be staged. */
int32_t sluice_doca_vault_place(const char *workspace, const char *volume, const char *pci, const char *vuid, const char *tag);

/* As vaultfs: a compiled table (vault.h) is copied, its new volumes are served and deny everything until the commit, which switches
 * all of them at once. -ECANCELED: not what was staged last. */
int32_t sluice_doca_vault_stage(const uint8_t *table, uint64_t size, char *why, uint32_t room);
int32_t sluice_doca_vault_commit(uint64_t generation, char *why, uint32_t room);
void sluice_doca_vault_discard(void);
/* `flag`: quarantined or suspended. On return everything is refused, and no answer from before it is still under way. */
int32_t sluice_doca_vault_flag(const char *workspace, const char *flag, uint32_t on);
/* Lines, as vaultfs gives them; the octets written. */
uint32_t sluice_doca_vault_observe(char *text, uint32_t room);
uint32_t sluice_doca_vault_events(char *text, uint32_t room, uint64_t *lost);
/* The octets that are judged by; 0 while nothing is live. More than `room`: their number, and nothing is written. */
uint64_t sluice_doca_vault_table(uint8_t *table, uint64_t room);
/* Ends every volume: guests get errors from their transport. `open` may come again after it. */
void sluice_doca_vault_close(void);

#endif
