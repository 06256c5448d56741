/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for the .tmh file that a trace preprocessor makes of a source: there is none here, and no message is kept. */
#ifndef TraceEvents
#define TraceEvents(...) ((void)0)
#define DoTraceMessage(...) ((void)0)
#define WPP_INIT_TRACING(...) ((void)0)
#define WPP_CLEANUP(...) ((void)0)
#endif
