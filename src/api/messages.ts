// The generated messages with their types: the one place that joins the two. `decode` copies attacker input into plain
// values; numbers of 64 bits are JavaScript numbers, and those that do not fit are refused where they are read (convert.ts).

import './numbers.js'
import { sluice } from './gen/messages.js'
import type { sluice as types } from './gen/shapes.js'

export const v1 = (sluice as unknown as { readonly v1alpha1: typeof types.v1alpha1 }).v1alpha1
export type { types }
export const PACKAGE = 'sluice.v1alpha1'
