/** See scenarios/fan-in.ts and storm.ts. */
import { stormCampaign } from '../storm';

export const campaign = stormCampaign(
  'fan-in',
  'a thousand ports of one vCPU: each edge is handled once, no send is lost',
);
