/**
 * A campaign: a test that goes on for as long as one likes and counts what it does. `npm run long` runs it at length, mocha in
 * its short form.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';

/** What a campaign has counted or measured, by the words that the table shows. */
export type Figures = Record<string, number | string>;

export interface CampaignOptions {
  /** Of everything random, 0 .. 2^32-1. */
  readonly seed: number;
  /** `short` takes a few seconds at most and is the same every time; `long` is limited by `seconds`. */
  readonly scale: 'short' | 'long';
  /** How long the long form goes on. Default: as the campaign likes, a minute or so. */
  readonly seconds?: number;
  /** Aborted when nobody waits for the rest any more: end soon, with the figures so far. */
  readonly signal: AbortSignal;
  /** Tells the figures so far, now and then: they are printed if the campaign is interrupted. */
  progress(figures: Figures): void;
}

export interface Campaign {
  readonly name: string;
  /** One line for listings: what is done, and what has to hold. */
  readonly describe: string;
  /** Resolves with the figures if all invariants held; rejects, with a message that says which did not. */
  run(options: CampaignOptions): Promise<Figures>;
}

const FOLDER = path.join(__dirname, 'campaigns');

/** The campaigns of the folder `campaigns`, each file's export `campaign`, by name. */
export function allCampaigns(): readonly Campaign[] {
  const files = readdirSync(FOLDER).filter((name) => /(?<!\.test)\.ts$/.test(name));
  const found = files.map((name) => (require(path.join(FOLDER, name)) as { campaign: Campaign }).campaign);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
