// A BlueField as a variant. It is never put in place from here: its fence lies between real interfaces, on the card's own processor,
// so that it is measured between hosts (`sluice bench --client`, with `--label doca-card`), once with the card's policy and once without.
// What is here says so in every result, and says when there is no card at all. The software BlueField is another variant (doca.ts).

import { lookForCard } from '../../backends/doca-flow/card.js'
import type { Variant } from './variant.js'

export const card: Variant = {
  name: 'doca-card',
  say: 'Sluice, backend doca-flow on a BlueField',
  role: 'fence',
  emulated: false,
  absent: () =>
    Promise.resolve(
      lookForCard().found
        ? 'its fence lies between real interfaces: measure it with `sluice bench --client ADDRESS --label doca-card`'
        : 'there is no BlueField in this machine',
    ),
  put: () => Promise.reject(new TypeError('a card is never put in place by the bench')),
}
