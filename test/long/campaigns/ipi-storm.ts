/** See scenarios/ipi-storm.ts and storm.ts. */
import { stormCampaign } from '../storm';

export const campaign = stormCampaign(
  'ipi-storm',
  'every vCPU sends to every other: each edge is handled once, no send is lost',
);
