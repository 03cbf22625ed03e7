// #region cern
import {get, getApiToken, getWithToken} from 'gatepass/cern';

const datasets = await get('https://cmsweb.cern.ch/dbs/prod/global/DBSReader/datasets', {
	searchParams: {dataset: '/ZeroBias/*/RAW'},
}).json();

const runs = await getWithToken('https://cmsrunregistry.web.cern.ch/api/runs', {
	targetApplication: 'cmsrunregistry-sso-proxy',
}).json();

const {token, expiresAt} = await getApiToken({targetApplication: 'cmsrunregistry-sso-proxy'});
// #endregion

console.log(datasets, runs, token.length, expiresAt);
