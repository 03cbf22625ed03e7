/** Closed at the end of the block, whatever happens in it. */
// #region using
import {createGatepass} from 'gatepass';

{
	await using gatepass = await createGatepass();
	console.log(await gatepass.got('https://api.example.org/runs').json());
}
// #endregion
