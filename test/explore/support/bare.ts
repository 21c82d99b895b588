export * from '../../../lib/explore/bare';
